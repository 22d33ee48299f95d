import type { Watch } from '../broker/watch.ts'
import { anObject, checkOptions, milliseconds, whole } from '../kit/check.ts'
import { type Env, systemEnv, type Timer } from '../kit/env.ts'
import { BusError, isBusError } from '../kit/errors.ts'
import type { Appended, Item, MessageLog } from './log.ts'

const LIMIT = 10_000
const FOR_MS = 5_000

const RULES = { env: anObject, limit: whole(1), forMs: milliseconds(0) }

/** How {@link heldAppends} holds. */
export interface HeldAppendsOptions {
  readonly env?: Env
  /** Most messages that wait together; more are refused with STORE_FULL. Default 10 000. */
  readonly limit?: number
  /** Milliseconds that an append waits at most, before STORE_FAILED; 0 refuses at once. Default 5 000. */
  readonly forMs?: number
}

interface Held {
  /** The order of the calls. */
  readonly turn: number
  readonly dueMs: number
  readonly stream: string
  readonly items: readonly Item[]
  readonly resolve: (appended: readonly Appended[]) => void
  readonly reject: (error: unknown) => void
}

/**
 * A log on a broker whose appends wait while the connection is lost, and go out in order, before newer ones, when it is back. An append
 * that the log surely did not store because the connection broke under it waits, too; one of which that is unknown does not. Everything
 * else goes to the log as it is, and so does an append while the connection stands. Disposal refuses what waits. Throws INVALID_OPTION.
 */
export function heldAppends(log: MessageLog, watch: Watch, options: HeldAppendsOptions = {}): MessageLog {
  checkOptions('heldAppends', options, RULES)
  const { env = systemEnv(), limit = LIMIT, forMs = FOR_MS } = options
  /** By their turn, and with that by their time. */
  const queue: Held[] = []
  let messages = 0
  let turns = 0
  let timer: Timer | undefined
  let closed = false

  const watcher = watch.on(({ type }) => {
    if (type !== 'restored') return
    timer?.cancel()
    messages = 0
    // All at once: the log stores them in the order of these calls, and what is appended from now on comes behind them.
    for (const held of queue.splice(0)) void pass(held)
  })

  async function pass(held: Held): Promise<void> {
    try {
      held.resolve(await log.append(held.stream, held.items))
    } catch (error) {
      if (!watch.isUp && !closed && wasNotStored(error)) hold(held, error)
      else held.reject(error)
    }
  }

  function hold(held: Held, cause?: unknown): void {
    const late = env.monotonicMs() >= held.dueMs
    if (late || messages + held.items.length > limit) {
      held.reject(late ? tooLate(held, cause) : full(held))
      return
    }
    messages += held.items.length
    // What had gone out goes back to its place, before what came later.
    const at = queue.findLastIndex(({ turn }) => turn < held.turn) + 1
    queue.splice(at, 0, held)
    if (at === 0) arm()
  }

  function arm(): void {
    timer?.cancel()
    const first = queue[0]
    if (first !== undefined) timer = env.after(Math.max(0, first.dueMs - env.monotonicMs()), expire)
  }

  function expire(): void {
    const nowMs = env.monotonicMs()
    for (let first = queue[0]; first !== undefined && first.dueMs <= nowMs; first = queue[0]) {
      queue.shift()
      messages -= first.items.length
      first.reject(tooLate(first))
    }
    arm()
  }

  function tooLate({ stream }: Held, cause?: unknown): BusError {
    const text = `there is no connection to the ${log.name} log, and was none for ${forMs} ms: nothing was stored in "${stream}"`
    return new BusError('STORE_FAILED', text, { cause, details: { stream, forMs } })
  }

  function full({ stream }: Held): BusError {
    const text = `there is no connection to the ${log.name} log, and ${messages} messages wait for it: nothing was stored in "${stream}"`
    return new BusError('STORE_FULL', text, { details: { stream, waiting: messages, limit } })
  }

  return Object.freeze({
    name: log.name,
    get level() {
      return log.level
    },
    supports: log.supports,

    append(stream: string, items: readonly Item[]): Promise<readonly Appended[]> {
      // The log refuses what is no list, and everything after its end.
      if (closed || !Array.isArray(items)) return log.append(stream, items)
      return new Promise((resolve, reject) => {
        const held = { turn: ++turns, dueMs: env.monotonicMs() + forMs, stream, items: [...items], resolve, reject }
        if (watch.isUp && queue.length === 0) void pass(held)
        else hold(held)
      })
    },

    read: (...args: Parameters<MessageLog['read']>) => log.read(...args),
    consume: (...args: Parameters<MessageLog['consume']>) => log.consume(...args),
    settle: (...args: Parameters<MessageLog['settle']>) => log.settle(...args),
    join: (...args: Parameters<MessageLog['join']>) => log.join(...args),
    leave: (...args: Parameters<MessageLog['leave']>) => log.leave(...args),
    trim: (...args: Parameters<MessageLog['trim']>) => log.trim(...args),
    find: (...args: Parameters<MessageLog['find']>) => log.find(...args),
    streams: (...args: Parameters<MessageLog['streams']>) => log.streams(...args),
    groups: (...args: Parameters<MessageLog['groups']>) => log.groups(...args),

    async [Symbol.asyncDispose](): Promise<void> {
      closed = true
      watcher[Symbol.dispose]()
      timer?.cancel()
      for (const { stream, reject } of queue.splice(0)) {
        reject(
          new BusError('STORE_FAILED', `the ${log.name} log was closed: nothing was stored in "${stream}"`, {
            details: { stream },
          }),
        )
      }
      await log[Symbol.asyncDispose]()
    },
  })
}

/** True when the append was surely not carried out, for want of a connection or for a fault of the moment. */
function wasNotStored(error: unknown): boolean {
  return isBusError(error, 'STORE_FAILED') || isBusError(error, 'BROKER_UNREACHABLE')
}
