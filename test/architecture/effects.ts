import { importsOf, isTest, type Source, where } from './source.ts'

/** The one file that reads the clock, draws random numbers and arms timers. */
const HOME = 'src/kit/env.ts'

/** The one file that may end the process: the way of the program to the outside. */
const PROGRAM = 'src/cli/io.ts'

const EVERYWHERE = [/\bconsole\b/g]
const EXITS = /\bprocess\s*\.\s*(?:exit|reallyExit|abort)\b/g
const OUTSIDE_HOME = [
  /\bDate\s*\.\s*now\b/g,
  /\bnew\s+Date\s*(?:\(\s*\)|(?!\s*\())/g,
  /\bperformance\s*\.\s*(?:now|timeOrigin)\b/g,
  /\bMath\s*\.\s*random\b/g,
  /\bcrypto\s*\.\s*(?:random\w*|getRandomValues)\b/g,
  /\b(?:randomUUID(?:v7)?|randomBytes|randomInt|randomFill(?:Sync)?)\b/g,
  /\b(?:setTimeout|setInterval|setImmediate)\b/g,
  /\bprocess\s*\.\s*hrtime\b/g,
]
/** Modules that hand the same things out under other names. */
const MODULES = new Set(['node:timers', 'node:timers/promises', 'node:perf_hooks', 'node:process', 'node:console'])

/** Reads of the clock, randomness and timers outside `kit/env.ts`, exits outside the program's `io.ts`, and console calls anywhere in `src/`. */
export function effectFaults(sources: readonly Source[]): readonly string[] {
  return sources
    .filter((source) => !isTest(source.path))
    .flatMap((source) => {
      const isHome = source.path === HOME
      const exits = isHome || source.path === PROGRAM ? [] : [EXITS]
      const calls = [...EVERYWHERE, ...exits, ...(isHome ? [] : OUTSIDE_HOME)].flatMap((pattern) =>
        [...source.code.matchAll(pattern)].map((match) => ({ name: match[0], offset: match.index })),
      )
      const modules = importsOf(source).filter(({ specifier }) => !isHome && MODULES.has(specifier))
      return [
        ...calls.map(({ name, offset }) => `${where(source, offset)} uses ${name.trim()}: ${advice(name)}`),
        ...modules.map(({ specifier, line }) => `${source.path}:${line} imports ${specifier}: ${advice(specifier)}`),
      ]
    })
}

function advice(name: string): string {
  if (name.includes('console')) return 'a library never logs'
  if (/exit|abort/.test(name)) return 'a library never exits'
  return `take it from the injected Env (${HOME})`
}
