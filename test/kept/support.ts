import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Bus, type OpenOptions, openBus } from '../../src/index.ts'
import { type MessageLog, memoryLog } from '../../src/log/index.ts'

/** A place where messages are kept, that a bus can be opened on again and again. */
export interface Store extends AsyncDisposable {
  open(options?: OpenOptions): Promise<Bus>
}

/** Something that keeps messages, under the name that its tests are told by. */
export interface Backend {
  readonly name: string
  make(): Store
}

/** The logs of one process: a test that needs a simulated clock runs on them, any other on the brokers as well. */
export const BACKENDS: readonly Backend[] = [
  { name: 'memory', make: inMemory },
  { name: 'sqlite', make: onDisk },
]

/** Whether a backend is a server of its own, to which everything takes a round trip. */
export function isBroker(name: string): boolean {
  return name !== 'memory' && name !== 'sqlite'
}

/** How many random programs a backend is given: those that answer faster get more. */
export function runsOn(name: string): number {
  return name === 'memory' ? 60 : isBroker(name) ? 10 : 25
}

/** In memory a bus that is opened again finds the log of the one before. */
function inMemory(): Store {
  let log: MessageLog | undefined
  return {
    open: async (options = {}) => {
      log ??= memoryLog(options.env === undefined ? {} : { env: options.env })
      return openBus(log, options)
    },
    [Symbol.asyncDispose]: async () => log?.[Symbol.asyncDispose](),
  }
}

function onDisk(): Store {
  const folder = mkdtempSync(join(tmpdir(), 'swarmbus-kept-'))
  return {
    open: (options) => openBus(`sqlite:${join(folder, 'swarm.db')}`, options),
    [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Waits until it is so; fails after many turns of the event loop, however slow the machine is. */
export async function until(condition: () => boolean | Promise<boolean>, what: string = 'it'): Promise<void> {
  for (let turn = 0; turn < 20_000; turn++) {
    if (await condition()) return
    await new Promise<void>((resolve) => void setTimeout(resolve, turn < 100 ? 0 : 5))
  }
  throw new Error(`${what} did not come`)
}

/** The sum of the ledgers of all channels, and what is missing in it. */
export async function ledgerOf(bus: Bus): Promise<Record<string, number> & { balance: number }> {
  const sum: Record<string, number> = {}
  for (const { ledger } of await bus.channels())
    for (const [field, count] of Object.entries(ledger)) sum[field] = (sum[field] ?? 0) + count
  const { published = 0, ...rest } = sum
  const balance = published - Object.values(rest).reduce((a, b) => a + b, 0)
  return { ...sum, balance } as Record<string, number> & { balance: number }
}
