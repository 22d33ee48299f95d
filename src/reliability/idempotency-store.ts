import { aText, checkOption, checkOptions, milliseconds, type Rule, whole } from '../kit/check.ts'
import { type Env, systemEnv } from '../kit/env.ts'
import { type MessageLog, type Offset, streamOf } from '../log/log.ts'
import { messageMaker } from '../message/make.ts'
import { anEnv } from './pause.ts'
import { TwoGenerations } from './two-generations.ts'

/** Where the keys of handled messages are remembered. */
export interface IdempotencyStore {
  /** True when the key was remembered within the window. */
  seen(key: string): boolean | Promise<boolean>
  /** Resolves once the key is remembered, as safely as the store can. Called only after the handler succeeded. */
  remember(key: string): void | Promise<void>
}

/** How long and how many keys are remembered. */
export interface IdempotencyStoreOptions {
  /** Milliseconds for which a key is surely remembered. Default 600 000. */
  readonly windowMs?: number
  /** Most keys surely remembered within the window; the oldest go first. Default 100 000. */
  readonly limit?: number
  readonly env?: Env
}

/** The rules of {@link IdempotencyStoreOptions}, for options that contain them. */
export const STORE_RULES: Readonly<Record<string, Rule>> = { windowMs: milliseconds(1), limit: whole(1), env: anEnv }

/** Remembers in this process: a restart forgets. Holds at most twice `limit` keys. */
export function memoryIdempotency(options: IdempotencyStoreOptions = {}): IdempotencyStore {
  checkOptions('memoryIdempotency', options, STORE_RULES)
  const { windowMs = 600_000, limit = 100_000, env = systemEnv() } = options
  const keys = new TwoGenerations<true>(windowMs, limit, env.monotonicMs())
  return {
    seen: (key) => keys.has(key, env.monotonicMs()),
    remember(key) {
      keys.set(key, true, env.monotonicMs())
    },
  }
}

/** The part of a channel in which its remembered keys lie. */
const PART = 'handled'
const TOPIC = 'idempotency.handled'

/**
 * Remembers in the stream `channel/handled` of a log, as safely as the log keeps messages: restarts do not forget, and processes that
 * share the log see each other's keys. What is older than the window, or beyond `limit`, is trimmed now and then. Does not close the
 * log. Across a restart the window is measured by the wall clock: no other one outlives the process.
 */
export function logIdempotency(
  log: MessageLog,
  channel: string,
  options: IdempotencyStoreOptions = {},
): IdempotencyStore {
  checkOption('logIdempotency', 'channel', channel, aText)
  checkOptions('logIdempotency', options, STORE_RULES)
  const { windowMs = 600_000, limit = 100_000, env = systemEnv() } = options
  const stream = streamOf(channel, PART)
  const maker = messageMaker(env)
  const keys = new TwoGenerations<true>(windowMs, limit, env.monotonicMs())
  let last: Offset | undefined
  let isLoaded = false
  let reading: Promise<void> | undefined
  let nextReading: Promise<void> | undefined

  const readOn = async (): Promise<void> => {
    const since = env.wallMs() - windowMs
    const range = last === undefined ? { since, last: limit } : { after: last }
    for await (const entry of log.read(stream, range)) {
      if (entry.type === 'gap') continue
      last = entry.offset
      if (typeof entry.message.data === 'string') keys.set(entry.message.data, true, env.monotonicMs())
    }
    isLoaded = true
  }

  /** One reading at a time. Who asks while one runs shares the next one, which sees what is stored by now. */
  const catchUp = (): Promise<void> => {
    if (reading === undefined) {
      reading = readOn().finally(() => {
        reading = undefined
      })
      return reading
    }
    nextReading ??= reading
      .catch(() => undefined)
      .then(() => {
        nextReading = undefined
        return isLoaded && !log.supports.shared ? undefined : catchUp()
      })
    return nextReading
  }

  return {
    async seen(key) {
      if (keys.has(key, env.monotonicMs())) return true
      // Nobody else writes to a log that is not shared: what was loaded once is all there is.
      if (isLoaded && !log.supports.shared) return false
      await catchUp()
      return keys.has(key, env.monotonicMs())
    },
    async remember(key) {
      // In this process at once: the effect has happened, whether the log can keep that or not.
      const isTurn = keys.set(key, true, env.monotonicMs())
      // Never compared by the log: each of these messages is a new one, and its duplicate window is for others.
      await log.append(stream, [{ message: maker.make(TOPIC, key), key: false }])
      if (!isTurn) return
      // What cannot be trimmed now is trimmed next time; the key itself is safe.
      await log.trim(stream, { storedBefore: env.wallMs() - windowMs }).catch(() => 0)
      await log.trim(stream, { maxCount: limit }).catch(() => 0)
    },
  }
}
