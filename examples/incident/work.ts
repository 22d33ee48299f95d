// What the agents know: pure functions from the text of a task to a route, a piece of work or a verdict. No model, no dice.

import type { Priority } from 'swarmbus'

/** A kind of work; each is a topic with a pool of agents behind it. */
export type Stage = 'coding' | 'deploy' | 'review' | 'monitor' | 'status'

/** Everything that travels in this swarm can say what it is in a few words. */
export interface Said {
  readonly text: string
}

/** One order to a pool. */
export interface Order extends Said {
  readonly task: number
  /** What the task is about, in one word; undefined when it names nothing. */
  readonly about: string | undefined
}

/** What an agent hands back. */
export interface Work extends Said {
  readonly by: string
  readonly steps: readonly string[]
  readonly files: readonly string[]
  /** Whether a test was added. */
  readonly tested: boolean
  /** How often the validator sent it back. */
  readonly returned: number
}

/** What the validator thinks of a piece of work. */
export interface Verdict extends Said {
  readonly by: string
  readonly accepted: boolean
}

const FIXING = ['fix', 'repair', 'patch', 'debug', 'bug', 'broken', 'crash', 'crashes', 'failing', 'hotfix']
const CHANGING = ['add', 'implement', 'write', 'build', 'refactor', 'rename', 'remove', 'upgrade', 'document', 'tidy']
const KEYWORDS: Readonly<Record<Stage, readonly string[]>> = {
  coding: [...FIXING, ...CHANGING],
  deploy: ['deploy', 'release', 'ship', 'rollout', 'rollback', 'restart'],
  review: ['review', 'audit', 'inspect', 'check'],
  monitor: ['monitor', 'watch', 'observe', 'measure'],
  status: ['status', 'who', 'what', 'where', 'why', 'how'],
}
const OUTAGE = ['production', 'outage', 'down', 'incident']
const HURRY = [...OUTAGE, 'urgent', 'asap', 'quick', 'quickly', 'hotfix']
const FILLERS = new Set(
  'a an the our my your its this that these those all every old new in on of to for from with by at and or is are be please it'.split(
    ' ',
  ),
)

function wordsOf(text: string): readonly string[] {
  return (
    text
      .slice(0, 2_000)
      .toLowerCase()
      .match(/[\p{L}\p{N}][\p{L}\p{N}_-]*/gu) ?? []
  )
}

function mentions(words: readonly string[], any: readonly string[]): boolean {
  return words.some((word) => any.includes(word))
}

/** True when the text begins with a word of trade: then a colon after it does not make it a priority. */
export function isTradeWord(word: string): boolean {
  return [...Object.values(KEYWORDS).flat(), ...HURRY].includes(word.toLowerCase())
}

/** The way of a task through the swarm, from its words: "review and deploy billing" is reviewed, then deployed. */
export function stagesOf(text: string): readonly Stage[] {
  const words = wordsOf(text)
  const kinds = Object.keys(KEYWORDS) as Stage[]
  const named = [...new Set(words.flatMap((word) => kinds.filter((kind) => KEYWORDS[kind].includes(word))))]
  if (named.length > 1) return named.filter((kind) => kind !== 'status')
  const outage = mentions(words, OUTAGE)
  if (outage && named.length === 0) return ['monitor', 'coding', 'deploy']
  if (outage && named[0] === 'coding') return ['coding', 'deploy', 'monitor']
  if (named.length === 0) return [text.trimEnd().endsWith('?') ? 'status' : 'coding']
  return named
}

/** The thing a task is about: the first word of its own after a word of trade, else the first that stands alone. */
export function aboutOf(text: string): string | undefined {
  const words = wordsOf(text)
  const isOwn = (word: string): boolean => !FILLERS.has(word) && !isTradeWord(word)
  const verb = words.findIndex((word) => Object.values(KEYWORDS).some((known) => known.includes(word)))
  const found = words.slice(verb + 1).find(isOwn) ?? words.find(isOwn) ?? words.find((word) => OUTAGE.includes(word))
  return found?.slice(0, 24)
}

/** Files that a change would touch, by what the text speaks of. */
function filesFor(words: readonly string[], about: string): readonly string[] {
  if (mentions(words, ['document', 'readme', 'docs', 'typo', 'comment'])) return [`docs/${about}.md`]
  const files = [`src/${about}.ts`]
  if (mentions(words, ['api', 'endpoint', 'export', 'webhook'])) files.push(`src/api/${about}.ts`)
  if (mentions(words, ['page', 'button', 'form', 'screen', 'ui'])) files.push(`web/${about}.tsx`)
  if (mentions(words, ['database', 'sql', 'schema', 'migration', 'column', 'table']))
    files.push(`migrations/${about}.sql`)
  if (mentions(words, ['config', 'setting', 'settings', 'limit'])) files.push(`config/${about}.yaml`)
  return files
}

const count = (many: readonly unknown[], what: string): string =>
  `${many.length} ${what}${many.length === 1 ? '' : 's'}`

/** A change. In a hurry it comes without a test, unless the text asks for one. Throws when the task names nothing. */
export function code(by: string, { text, about }: Order, priority: Priority): Work {
  if (about === undefined) throw new Error('the task names nothing to work on')
  const words = wordsOf(text)
  const fixing = mentions(words, [...FIXING, ...OUTAGE])
  const files = filesFor(words, about)
  const hurry = priority === 'critical' || mentions(words, HURRY)
  const tested = isCode(files) && (mentions(words, ['test', 'tests']) || !hurry)
  const steps = [fixing ? `reproduce the fault in ${about}` : `read ${about}`, ...files.map((file) => `change ${file}`)]
  if (tested) steps.push(`add test/${about}.test.ts`)
  const all = tested ? [...files, `test/${about}.test.ts`] : files
  const how = isCode(files) ? (tested ? ', with a test' : ', no test') : ''
  return {
    by,
    text: `${fixing ? 'fixed' : 'changed'} ${about}: ${count(all, 'file')}${how}`,
    steps,
    files: all,
    tested,
    returned: 0,
  }
}

function isCode(files: readonly string[]): boolean {
  return files.some((file) => !file.startsWith('docs/'))
}

/** What is wrong with a piece of work; undefined when nothing is. */
export function faultOf(work: Pick<Work, 'steps' | 'files' | 'tested'>): string | undefined {
  const fixing = work.steps[0]?.startsWith('reproduce') ?? false
  if (fixing && isCode(work.files) && !work.tested) return 'a fix needs a test that fails without it'
  const oneWay = work.files.find(
    (file) => file.endsWith('.sql') && !work.files.includes(file.replace('.sql', '.undo.sql')),
  )
  if (oneWay !== undefined && !oneWay.endsWith('.undo.sql')) return `${oneWay} has no way back`
  return undefined
}

/** The same work with what the validator missed. */
export function rework(work: Work, about: string): Work {
  const files = [...work.files]
  if (isCode(files) && !work.tested) files.push(`test/${about}.test.ts`)
  for (const file of work.files) if (file.endsWith('.sql')) files.push(file.replace('.sql', '.undo.sql'))
  const steps = files.slice(work.files.length).map((file) => `add ${file}`)
  const text = `mended ${about}: ${count(files, 'file')}, ${steps.join(', ')}`
  return { ...work, text, steps: [...work.steps, ...steps], files, tested: isCode(files), returned: work.returned + 1 }
}

/** A roll-out, or the way back to the last good version. */
export function deploy(by: string, { text, about = 'everything' }: Order): Work {
  const back = mentions(wordsOf(text), ['rollback', 'revert']) || /\broll(ed|ing)? back\b/i.test(text)
  const steps = back
    ? [`find the last good version of ${about}`, `put it back`]
    : [`build ${about}`, `try ${about} on one machine`, `roll ${about} out to all`]
  return {
    by,
    text: `${back ? 'rolled back' : 'deployed'} ${about} in ${count(steps, 'step')}`,
    steps,
    files: [],
    tested: false,
    returned: 0,
  }
}

/** Questions that a reader would ask, by what the text speaks of. */
export function review(by: string, { text, about = 'it' }: Order): Work {
  const words = wordsOf(text)
  const steps: string[] = []
  if (mentions(words, ['auth', 'login', 'token', 'password', 'session']))
    steps.push('who may call it, and who may not?')
  if (mentions(words, ['form', 'input', 'upload', 'payment', 'api'])) steps.push('is every input checked?')
  if (mentions(words, ['sql', 'query', 'database', 'schema', 'table'])) steps.push('does every query have an index?')
  if (mentions(words, ['queue', 'worker', 'async', 'bus', 'retry'])) steps.push('what happens when it is called twice?')
  if (steps.length === 0) steps.push('is there a test for it?')
  return {
    by,
    text: `reviewed ${about}: ${count(steps, 'question')}, first: ${steps[0]}`,
    steps,
    files: [],
    tested: false,
    returned: 0,
  }
}

/** What to watch, by what the text speaks of. */
export function monitor(by: string, { text, about = 'everything' }: Order): Work {
  const words = wordsOf(text)
  const watched = ['error rate', 'latency']
  if (mentions(words, ['auth', 'login'])) watched.push('log-ins')
  if (mentions(words, ['queue', 'worker', 'backlog'])) watched.push('queue length')
  if (mentions(words, ['payment', 'billing', 'checkout'])) watched.push('payments')
  const steps = watched.map((one) => `watch the ${one} of ${about}`)
  return { by, text: `watching ${about}: ${watched.join(', ')}`, steps, files: [], tested: false, returned: 0 }
}
