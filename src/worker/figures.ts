import type { EventName } from '../bus/announce.ts'
import type { KeptFigures, KeptHost } from '../bus/kept.ts'
import type { ChannelInfo, KeptLedger } from '../bus/kept-verbs.ts'
import { describeThrown, isBusError } from '../kit/errors.ts'
import type { LogEvent, MessageLog } from '../log/log.ts'
import type { Message } from '../message/message.ts'
import type { Policy } from './channel.ts'
import { channelInfos } from './channel-info.ts'
import { retryOf } from './mode.ts'
import type { DeadRecord } from './record.ts'

/** Milliseconds for which the balance of the channels may be asked for again without counting anew. */
const FRESH_MS = 1_000
/** Milliseconds after which a fault of the log that did not come again is over: whoever met it tries again each second. */
const FAULT_MS = 5_000
/** Milliseconds for which a loss of messages makes the bus unhealthy: long enough for a person to see it. */
const LOSS_MS = 600_000
/** Most faults that are told apart. */
const MOST_FAULTS = 100

/** How what a log tells is announced. */
const TOLD: Readonly<Record<LogEvent['type'], EventName>> = {
  disconnected: 'log.disconnected',
  retry: 'log.retried',
  reconnected: 'log.reconnected',
  'data-loss': 'log.lost',
}

interface Fault {
  readonly text: string
  readonly atMs: number
}

/** What a keeper counts: what its groups did, what lies in the log, and what does not get on. */
export class FigureBook {
  /** The bus, with everything that is announced through it counted. */
  readonly host: KeptHost
  readonly #log: MessageLog
  readonly #deadLettersAllowed: number
  readonly #faults = new Map<string, Fault>()
  #loss: Fault | undefined
  #down: string | undefined
  #retried = 0
  #deadLettered = 0
  #exhausted = 0
  #infos: readonly ChannelInfo[] = []
  #countedAtMs = Number.NEGATIVE_INFINITY
  #ended = false

  constructor(host: KeptHost, log: MessageLog, deadLettersAllowed: number) {
    this.#log = log
    this.#deadLettersAllowed = deadLettersAllowed
    this.host = {
      env: host.env,
      clock: host.clock,
      wheel: host.wheel,
      get options() {
        return host.options
      },
      get far() {
        return host.far
      },
      accountOf: (topic) => host.accountOf(topic),
      announce: (event, fields) => {
        this.#count(event, fields)
        host.announce(event, fields)
      },
      fail: (name, message, outcome, reason, error) => host.fail(name, message, outcome, reason, error),
      guard: (run) => host.guard(run),
      respond: (request, data, from, options) => host.respond(request, data, from, options),
    }
  }

  /** Counts the channels anew. */
  async refresh(): Promise<void> {
    this.#infos = await channelInfos(this.#log)
  }

  /** What the log tells of its broker. */
  told(event: LogEvent): void {
    const { type, ...fields } = event
    if (event.type === 'disconnected') this.#down = event.why
    if (event.type === 'reconnected') {
      this.#down = undefined
      // They were of the connection, or come again.
      this.#faults.clear()
    }
    if (event.type === 'data-loss') this.#loss = { text: event.error.message, atMs: this.host.clock.readMs() }
    this.host.announce(TOLD[type], fields)
  }

  /** Nothing is counted any more: the log is being closed. */
  end(): void {
    this.#ended = true
  }

  ledgers(): Readonly<Record<string, KeptLedger>> {
    this.#freshen()
    return Object.fromEntries(this.#infos.map((one) => [one.name, one.ledger]))
  }

  figures(): KeptFigures {
    this.#freshen()
    const nowMs = this.host.clock.readMs()
    const { name, level } = this.#log
    const sum = (of: (info: ChannelInfo) => number): number => this.#infos.reduce((all, one) => all + of(one), 0)
    return {
      log: name,
      level,
      retried: this.#retried,
      deadLettered: this.#deadLettered,
      exhausted: this.#exhausted,
      retrying: sum(({ ledger }) => ledger.delayed),
      deadLetters: sum((one) => one.deadLetters),
      deadLettersAllowed: this.#deadLettersAllowed,
      faults: this.#faultsAt(nowMs),
      down: this.#down,
    }
  }

  #faultsAt(nowMs: number): readonly string[] {
    const lost = this.#loss !== undefined && nowMs - this.#loss.atMs < LOSS_MS ? [this.#loss.text] : []
    const rest = [...this.#faults.values()].filter(({ atMs }) => nowMs - atMs < FAULT_MS).map(({ text }) => text)
    return [...lost, ...rest]
  }

  /** What groups have still to handle, counted now; undefined when the log does not say. */
  async unsettled(): Promise<number | undefined> {
    try {
      await this.refresh()
    } catch (error) {
      this.host.announce('log.failed', { error })
      return undefined
    }
    return this.#infos.reduce((sum, { ledger }) => sum + ledger.pending + ledger.leased + ledger.delayed, 0)
  }

  /** A message became a dead letter. */
  died(policy: Policy, { reason, attempts }: DeadRecord, message: Message): void {
    this.#deadLettered++
    if (reason === 'expired' || reason === 'cancelled' || reason === 'queue-full') return
    if (reason === 'agent-unresponsive' || attempts.length >= retryOf(policy, message).attempts) this.#exhausted++
  }

  #count(event: EventName, fields: object): void {
    if (event === 'message.retried') this.#retried++
    if (event !== 'log.failed') return
    // Said once, by what the log tells of its connection.
    if (this.#down !== undefined && isOfLink((fields as { error?: unknown }).error)) return
    const { stream, group, name, error } = fields as Record<string, unknown>
    const where = [stream, group ?? name].filter((one) => typeof one === 'string').join(' for ')
    const code = isBusError(error) ? `${error.code}: ` : ''
    const text = `the log fails${where === '' ? '' : ` at ${where}`}: ${code}${describeThrown(error)}`
    this.#faults.delete(where)
    if (this.#faults.size >= MOST_FAULTS) this.#faults.delete(this.#faults.keys().next().value as string)
    this.#faults.set(where, { text, atMs: this.host.clock.readMs() })
  }

  #freshen(): void {
    const nowMs = this.host.clock.readMs()
    if (nowMs - this.#countedAtMs < FRESH_MS || this.#ended || this.#down !== undefined) return
    this.#countedAtMs = nowMs
    this.refresh().catch((error: unknown) => {
      if (!this.#ended) this.host.announce('log.failed', { error })
    })
  }
}

/** True for faults of a connection that is lost. */
function isOfLink(error: unknown): boolean {
  const { cause } = (error ?? {}) as { readonly cause?: unknown }
  return [error, cause].some((one) => isBusError(one, 'BROKER_UNREACHABLE') || isBusError(one, 'BROKER_TIMEOUT'))
}
