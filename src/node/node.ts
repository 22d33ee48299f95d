import { type Bus, keptBus } from '../bus/bus.ts'
import type { BusOptions } from '../bus/options.ts'
import { aFunction, anObject, aText, checkOption, checkOptions, milliseconds, type Rule, whole } from '../kit/check.ts'
import type { MessageLog } from '../log/log.ts'
import type { DeadLetterAlert } from '../worker/burials.ts'
import type { ChannelOptions } from '../worker/channel.ts'
import type { LogKeeper } from '../worker/keeper.ts'
import type { BackendChoice, OfflineOptions, TlsOptions } from './backends.ts'

/** How a bus with a log is opened: everything of `createBus`, and how messages are kept. */
export interface OpenOptions extends BusOptions {
  /** Policies of channels by name; a topic without one belongs to the channel of its first token. */
  readonly channels?: Readonly<Record<string, ChannelOptions>>
  /** The policy of every channel, where it says nothing else. */
  readonly defaults?: ChannelOptions
  /** Milliseconds within which a repeated id or idempotency key is stored once. Default 600 000. */
  readonly dedupMs?: number
  /** Milliseconds after which a publish that the log did not answer rejects with PUBLISH_UNKNOWN. Default 10 000. */
  readonly publishTimeoutMs?: number
  /** Called when so many messages to one agent have died (default 3), and after each as many more. */
  readonly onDeadLetters?: (alert: DeadLetterAlert) => void
  readonly deadLettersAfter?: number
  /** Dead letters above which the bus is unhealthy. Default 50. */
  readonly healthDeadLetters?: number
  /** Goes on with a log that lacks messages which it had acknowledged. Default false: DATA_LOSS. */
  readonly acceptLoss?: boolean
  /** What publishes do while the broker cannot be reached: they wait, in order and within bounds, or are refused at once. */
  readonly offline?: OfflineOptions
  /** For `rediss://` and `tls://`: what is trusted, and who this process is. */
  readonly tls?: TlsOptions
  /**
   * The url that is used when the wanted backend cannot be reached at the start. Without it the start fails. A broker that answers and
   * refuses (password, settings) is a fault to be mended: it never leads here.
   */
  readonly fallback?: string
  /** Told which backend was chosen, and why; once more when the fallback takes its place. */
  readonly onChosen?: (choice: BackendChoice) => void
}

const OWN_RULES: Readonly<Record<string, Rule>> = {
  channels: anObject,
  defaults: anObject,
  dedupMs: milliseconds(0),
  publishTimeoutMs: milliseconds(1),
  onDeadLetters: aFunction,
  deadLettersAfter: whole(1),
  healthDeadLetters: whole(0),
  acceptLoss: { allowed: 'true or false', ok: (value) => typeof value === 'boolean' },
  offline: anObject,
  tls: anObject,
  fallback: aText,
  onChosen: aFunction,
}

const noFallback: Rule = { allowed: 'nothing beside a log that was made already', ok: () => false }

/**
 * Opens a bus that keeps its messages: `memory:` (in this process), `sqlite:FILE` (on disk, survives power loss), a log that was made
 * already (then closing the bus leaves it open), or nothing: SWARMBUS_URL, REDIS_URL or NATS_URL, else memory. With `redis://` and
 * `nats://` any number of processes are one swarm. Every topic is kept, unless its channel says live. Throws INVALID_OPTION,
 * UNSUPPORTED, STORE_LOCKED, STORE_FAILED, DATA_LOSS, SCHEMA_TOO_NEW, BROKER_UNREACHABLE, BROKER_REFUSED.
 *
 * @example
 * await using bus = await openBus('sqlite:./swarm.db')
 * bus.subscribe('tasks.*', handle, { group: 'coders' })
 * const { level } = await bus.publish('tasks.coding', { title: 'fix auth' }) // 'disk'
 */
export async function openBus(where?: string | MessageLog, options: OpenOptions = {}): Promise<Bus> {
  checkOption('openBus', 'options', options, anObject)
  const {
    channels,
    defaults,
    dedupMs,
    publishTimeoutMs,
    onDeadLetters,
    deadLettersAfter,
    healthDeadLetters,
    acceptLoss,
    offline,
    tls,
    fallback,
    onChosen,
    ...rest
  } = options
  const own = {
    channels,
    defaults,
    dedupMs,
    publishTimeoutMs,
    onDeadLetters,
    deadLettersAfter,
    healthDeadLetters,
    acceptLoss,
    offline,
    tls,
    fallback,
    onChosen,
  }
  checkOptions('openBus', own, OWN_RULES)
  // Only who keeps messages pays for what keeps them: `import 'swarmbus'` stays light.
  let log: MessageLog
  let wire = rest.wire
  let keeper: LogKeeper | undefined
  let onClosed: (() => Promise<void>) | undefined
  if (typeof where === 'string' || where === undefined) {
    const [{ chooseBackend }, { openChosen }] = await Promise.all([import('./backends.ts'), import('./fallback.ts')])
    const chosen = chooseBackend(where, process.env)
    const made = await openChosen(
      chosen,
      {
        ...(rest.env === undefined ? {} : { env: rest.env }),
        ...(dedupMs === undefined ? {} : { dedupMs }),
        ...(acceptLoss === undefined ? {} : { acceptLoss }),
        ...(offline === undefined ? {} : { offline }),
        ...(tls === undefined ? {} : { tls }),
        onEvent: (event) => keeper?.told(event),
      },
      { fallback, onChosen },
    )
    log = made.log
    wire ??= made.wire
    onClosed = async () => made[Symbol.asyncDispose]()
  } else {
    checkOption('openBus', 'log', where, anObject)
    if (fallback !== undefined) checkOption('openBus', 'fallback', fallback, noFallback)
    log = where
  }
  // As the united systems retried, for whoever asks for one of them.
  const policy: ChannelOptions = rest.preset === undefined ? {} : { retry: rest.preset }
  const settings = {
    channels: channels ?? {},
    defaults: { ...policy, ...defaults },
    ...(dedupMs === undefined ? {} : { dedupMs }),
    ...(healthDeadLetters === undefined ? {} : { healthDeadLetters }),
    ...publishLimit(publishTimeoutMs, offline),
    ...(deadLettersAfter === undefined ? {} : { alertAfter: deadLettersAfter }),
    ...(onDeadLetters === undefined ? {} : { onAlert: onDeadLetters }),
    ...(onClosed === undefined ? {} : { onClosed }),
  }
  try {
    const { LogKeeper: Keeper } = await import('../worker/keeper.ts')
    const existing = (await log.streams()).map((one) => one.stream)
    const bus = keptBus({ ...rest, ...(wire === undefined ? {} : { wire }) }, (host) => {
      keeper = new Keeper(host, log, settings, existing)
      return keeper
    })
    try {
      await keeper?.refresh()
      // A request right after this finds the responders of other processes.
      await bus.ready
    } catch (error) {
      await bus.close({ limitMs: 0 })
      throw error
    }
    return bus
  } catch (error) {
    await onClosed?.()
    throw error
  }
}

/** A publish that waits for the broker has its time for that, and then the usual time for the answer. */
function publishLimit(
  publishTimeoutMs: number | undefined,
  offline: OfflineOptions | undefined,
): { readonly publishTimeoutMs?: number } {
  if (publishTimeoutMs !== undefined) return { publishTimeoutMs }
  return offline?.forMs === undefined ? {} : { publishTimeoutMs: offline.forMs + 10_000 }
}
