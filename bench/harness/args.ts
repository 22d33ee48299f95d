import { parseArgs } from 'node:util'

export interface Args {
  readonly only: readonly string[]
  readonly quick: boolean
  readonly json: boolean
  readonly help: boolean
  readonly list: boolean
  readonly rounds: number
}

/** Wrong arguments; the message says which ones are right. */
export class WrongArgs extends Error {}

export const USAGE = `npm run bench -- [options]
  --only P1,ZH5   only these workloads
  --quick         one short round each: shows that everything works, its figures mean nothing
  --rounds 7      rounds for each contestant, at least 5 (default 5)
  --json          one JSON object on stdout instead of the table
  --list          the names of all workloads
  --help          this text`

/** Throws {@link WrongArgs}. */
export function argsOf(argv: readonly string[], known: readonly string[]): Args {
  const { only: text, quick, json, help, list, rounds: count } = parsed(argv)
  const only = text === undefined ? known : text.split(',').map((name) => name.trim().toUpperCase())
  const unknown = only.filter((name) => !known.includes(name))
  if (unknown.length > 0) {
    throw new WrongArgs(`--only: there is no workload ${unknown.join(', ')}; the workloads are ${known.join(', ')}`)
  }
  const rounds = quick ? 1 : Number(count)
  if (!quick && !(Number.isInteger(rounds) && rounds >= 5)) {
    throw new WrongArgs(`--rounds: "${count}" is not a whole number of at least 5`)
  }
  return { only, quick, json, help, list, rounds }
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        only: { type: 'string' },
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        rounds: { type: 'string', default: '5' },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    throw new WrongArgs(error instanceof Error ? error.message : String(error))
  }
}
