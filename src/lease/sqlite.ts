import { resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { anObject, checkOption, checkOptions, type Rule, whole } from '../kit/check.ts'
import { type Env, machineMs, systemEnv } from '../kit/env.ts'
import { BusError, describeThrown, isBusError } from '../kit/errors.ts'
import type { Leases } from './lease.ts'
import { leasesOver } from './leases.ts'
import type { Answer, Ask, ThreadData } from './sqlite-thread.ts'
import type { Claim, LeaseTable } from './table.ts'

const LIMIT = 10_000
const BUSY_TIMEOUT_MS = 5_000
/** Between two looks at a lease that somebody holds. */
const FIRST_POLL_MS = 10
const LAST_POLL_MS = 200
const POLL_GROWTH = 1.5

/** How {@link sqliteLeases} work. */
export interface SqliteLeasesOptions {
  /** Clock, timers and random numbers of this side; the file is judged by the clock of the machine. Default: those of the process. */
  readonly env?: Env
  /** Most leases held, calls under way and waits together; more are refused with QUEUE_FULL. Default 10 000. */
  readonly limit?: number
  /** Milliseconds to wait while another process writes to the file, before STORE_FAILED. Default 5 000. */
  readonly busyTimeoutMs?: number
}

const aFile: Rule = {
  allowed: 'the path of a file; what lies in memory cannot be shared, see memoryLeases()',
  ok: (value) => typeof value === 'string' && value !== '' && !value.includes('\0') && value !== ':memory:',
}
const RULES = { env: anObject, limit: whole(1), busyTimeoutMs: whole(0, 2_147_483_647) }

/**
 * Owners in any process of this machine that opens the same file. Times are those of the machine's monotonic clock; when the machine
 * restarts all leases are void, and tokens go on rising. Who waits looks again every 5 to 300 ms; those who wait get the lease in no
 * order. The file must lie on a disk of this machine, with hard links, and its users in one time namespace. A process that is stopped in
 * the middle of a write holds the whole file: calls then reject with STORE_FAILED after two to three times `busyTimeoutMs`. Throws INVALID_OPTION; STORE_FAILED when the file cannot be used or is not one of leases; SCHEMA_TOO_NEW.
 */
export async function sqliteLeases(file: string, options: SqliteLeasesOptions = {}): Promise<Leases> {
  checkOption('sqliteLeases', 'file', file, aFile)
  checkOptions('sqliteLeases', options, RULES)
  const { env = systemEnv(), limit = LIMIT, busyTimeoutMs = BUSY_TIMEOUT_MS } = options
  const path = resolve(file)
  const thread = startThread({ file: path, busyTimeoutMs })
  try {
    await open(thread, env, busyTimeoutMs)
  } catch (error) {
    await thread.end()
    throw error
  }
  return leasesOver(tableOf(thread, env), { name: 'sqlite', shared: true, env, limit })
}

/** SQLite does not wait by itself when two processes make the same file at once. */
async function open(thread: Thread, env: Env, busyTimeoutMs: number): Promise<void> {
  const untilMs = env.monotonicMs() + busyTimeoutMs
  for (;;) {
    try {
      await thread.ask('open')
      return
    } catch (error) {
      if (!isBusy(error) || env.monotonicMs() >= untilMs) throw error
      await new Promise<void>((done) => env.after(FIRST_POLL_MS * (0.5 + env.random()), done))
    }
  }
}

function isBusy(error: unknown): boolean {
  return isBusError(error, 'STORE_FAILED') && error.details.busy === true
}

function tableOf(thread: Thread, env: Env): LeaseTable {
  async function take(name: string, ttlMs: number): Promise<Claim | undefined> {
    const sinceMs = env.monotonicMs()
    const token = await thread.ask('take', name, 0, ttlMs)
    return typeof token === 'number' ? { token, sinceMs } : undefined
  }

  return {
    take,

    async wait(name, ttlMs, signal) {
      for (let pollMs = FIRST_POLL_MS; !signal.aborted; pollMs = Math.min(pollMs * POLL_GROWTH, LAST_POLL_MS)) {
        try {
          const claim = await take(name, ttlMs)
          if (claim !== undefined) return claim
        } catch (error) {
          // A process that was stopped while it wrote holds the whole file: as good as held.
          if (!isBusy(error)) throw error
        }
        await pause(env, pollMs * (0.5 + env.random()), signal)
      }
      return undefined
    },

    extend: async (name, token, ttlMs) => (await thread.ask('extend', name, token, ttlMs)) === true,
    drop: async (name, token) => (await thread.ask('drop', name, token)) === true,

    async owner(name) {
      const token = await thread.ask('owner', name)
      return typeof token === 'number' ? token : undefined
    },

    async close() {
      // What could not be dropped or closed in order runs out by itself.
      await thread.ask('close').catch(() => undefined)
      await thread.end()
    },
  }
}

/** Resolves after the time, or at once when the signal is aborted. */
function pause(env: Env, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const end = (): void => {
      timer.cancel()
      signal.removeEventListener('abort', end)
      done()
    }
    const timer = env.after(delayMs, end)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}

interface Thread {
  /** Questions are carried out in order. Rejects with what the thread threw; with STORE_FAILED when the thread died. */
  ask(type: Ask['type'], name?: string, token?: number, ttlMs?: number): Promise<number | boolean | undefined>
  end(): Promise<void>
}

function startThread(data: ThreadData): Thread {
  // The same file runs from the sources and from the build.
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  // No flags of the program: a hook that it loads for itself is nothing for this thread.
  const worker = new Worker(new URL(`./sqlite-thread.${ending}`, import.meta.url), { workerData: data, execArgv: [] })
  const open = new Map<
    number,
    { readonly answer: (answer: Answer) => void; readonly fail: (error: BusError) => void }
  >()
  let lastId = 0
  let died: BusError | undefined

  function die(cause: unknown): void {
    died ??= new BusError('STORE_FAILED', `the thread of the lease file ${data.file} ended: ${describeThrown(cause)}`, {
      cause,
      details: { file: data.file },
    })
    for (const { fail } of open.values()) fail(died)
    open.clear()
  }
  worker.on('error', die)
  worker.on('exit', (code) => die(`exit code ${code}`))
  worker.on('message', (answer: Answer) => {
    open.get(answer.id)?.answer(answer)
    open.delete(answer.id)
    // An idle thread must not keep the program from ending.
    if (open.size === 0) worker.unref()
  })

  return {
    ask: (type, name = '', token = 0, ttlMs = 0) =>
      new Promise((done, fail) => {
        if (died !== undefined) {
          fail(died)
          return
        }
        const id = ++lastId
        open.set(id, {
          fail,
          answer(answer) {
            if (answer.type === 'done') done(answer.value)
            else {
              const { code, message, details, cause } = answer.error
              fail(new BusError(code, message, { cause, details }))
            }
          },
        })
        worker.ref()
        worker.postMessage({ id, type, name, token, ttlMs, sentMs: machineMs() } satisfies Ask)
      }),

    async end() {
      worker.ref()
      await worker.terminate()
    },
  }
}
