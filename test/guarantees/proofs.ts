import { lineAt, type Source, where } from '../architecture/source.ts'
import { idsIn, type Title, titlesOf } from '../architecture/titles.ts'

// Which invariant the tests show on which backend, read from the tests themselves: their titles carry the ids, the lists that they are
// registered for name the backends, and the file says what happens to the swarm meanwhile.

export const BACKEND_NAMES = ['memory', 'sqlite', 'redis', 'jetstream'] as const
export type BackendName = (typeof BACKEND_NAMES)[number]

/** What happens while a promise is looked at: nothing · a process is killed, stopped or told to end · the store fails, or is lost. */
export const HARMS = ['rules', 'process', 'store'] as const
export type Harm = (typeof HARMS)[number]

/** A title of a test that was found to run on a backend. */
export interface Proof {
  readonly id: string
  readonly backend: BackendName
  readonly harm: Harm
  readonly at: string
}

/** Lists of backends that tests are registered for. */
const LISTS: Readonly<Record<string, readonly BackendName[]>> = {
  BACKENDS: ['memory', 'sqlite'],
  BROKERS: ['redis', 'jetstream'],
  OWN_CLOCK: ['redis', 'jetstream'],
  KINDS: ['redis', 'jetstream'],
  EVERYWHERE: BACKEND_NAMES,
}

/** Files whose tests run on one kind of log, or several, without a list. */
const FILES: readonly (readonly [path: RegExp, backends: readonly BackendName[]])[] = [
  [/^src\/log\/conformance\/shared\.ts$/, ['redis', 'jetstream']],
  [/^src\/log\/conformance\/persist\.ts$/, ['sqlite', 'redis', 'jetstream']],
  [/^src\/log\/conformance\//, BACKEND_NAMES],
  [/^src\/log\/redis\/|^test\/.*\.redis\.test\.ts$/, ['redis']],
  [/^src\/log\/jetstream\/|^test\/.*\.nats\.test\.ts$/, ['jetstream']],
  [/^src\/log\/sqlite\/|^test\/crash\//, ['sqlite']],
  [/^src\/log\/memory/, ['memory']],
  // What the two logs of one process are made of.
  [/^src\/log\/(groups|front|sessions|committer)\.test\.ts$/, ['memory', 'sqlite']],
  // What stands outside of a list there runs children on a file.
  [/^test\/(kept|origins)\/.*(?<!brokers)\.test\.ts$/, ['sqlite']],
]

/** Files in which something is harmed; whatever is not named here shows the rule alone. */
const HARMED: readonly (readonly [path: RegExp, harm: Harm])[] = [
  [/^test\/crash\/(damage|full-disk)\.test\.ts$/, 'store'],
  [/^test\/crash\//, 'process'],
  [/^test\/kept\/broker-death\.brokers\.test\.ts$/, 'store'],
  [/^test\/kept\/(death|fenced|order-death)\.brokers\.test\.ts$/, 'process'],
  [/^test\/faults\/(consumer|process-lost)\./, 'process'],
  [/^test\/faults\/(rivals)\./, 'rules'],
  [/^test\/faults\//, 'store'],
  [/^src\/log\/(redis|jetstream)\/(faults|cluster)\./, 'store'],
  [/^src\/log\/conformance\/persist\.ts$/, 'process'],
]

/** A part of a file that is registered for a list of backends. */
interface Block {
  readonly first: number
  readonly last: number
  readonly backends: readonly BackendName[]
}

/** What the tests of these sources show, of invariants only. */
export function proofsIn(sources: readonly Source[]): readonly Proof[] {
  return sources.flatMap((source) => {
    const blocks = blocksOf(source, sources)
    return [...titlesOf(source), ...suiteTitlesOf(source)].flatMap((title) => {
      const line = Number(title.at.slice(title.at.lastIndexOf(':') + 1))
      const block = blocks.find(({ first, last }) => first <= line && line <= last)
      const backends = block?.backends ?? FILES.find(([path]) => path.test(source.path))?.[1] ?? []
      const harm = HARMED.find(([path]) => path.test(source.path))?.[1] ?? harmBeside(source, block)
      return [...idsIn([title])]
        .filter((id) => /^I\d+$/.test(id))
        .flatMap((id) => backends.map((backend) => ({ id, backend, harm, at: title.at })))
    })
  })
}

/** The titles of a conformance suite, which registers its tests by functions of its own. */
function suiteTitlesOf(source: Source): readonly Title[] {
  if (!source.path.startsWith('src/log/conformance/')) return []
  return [...source.text.matchAll(/'((?:\[[A-Z]N?\d+\] )+[^'\n]*)'/g)].map((match) => ({
    text: match[1] as string,
    at: where(source, match.index),
  }))
}

/** Outside of the lists of backends stand the tests that kill processes. */
function harmBeside(source: Source, block: Block | undefined): Harm {
  return block === undefined && /^test\/(kept|origins)\//.test(source.path) && /\bchild\(|\brun\(/.test(source.code)
    ? 'process'
    : 'rules'
}

function blocksOf(source: Source, sources: readonly Source[]): readonly Block[] {
  return [...source.code.matchAll(/\b(?:describe|test)\.each\((\w+)\)\s*\(/g)].flatMap((match) => {
    const name = match[1] as string
    const backends = name === 'backends' ? registeredFor(source, sources) : LISTS[name]
    if (backends === undefined) return []
    const open = match.index + match[0].length - 1
    return [
      { first: lineAt(source.code, match.index), last: lineAt(source.code, closing(source.code, open)), backends },
    ]
  })
}

/** The backends that the cases of a file are registered for, wherever that is. */
function registeredFor({ code }: Source, sources: readonly Source[]): readonly BackendName[] {
  const names = [...code.matchAll(/export function (\w+)\(backends\b/g)].map((match) => match[1] as string)
  return names.flatMap((name) =>
    sources.flatMap((one) =>
      [...one.code.matchAll(new RegExp(`\\b${name}\\((\\w+)\\)`, 'g'))].flatMap(
        (call) => LISTS[call[1] as string] ?? [],
      ),
    ),
  )
}

function closing(code: string, open: number): number {
  let depth = 0
  for (let at = open; at < code.length; at++) {
    if (code[at] === '(') depth++
    if (code[at] === ')' && --depth === 0) return at
  }
  return code.length
}
