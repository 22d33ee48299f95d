import { holdSession, releaseSession } from '../bus/held.ts'
import type { Queue } from '../bus/queue.ts'
import type { Env, Timer } from '../kit/env.ts'
import type { MessageLog } from '../log/log.ts'
import { channelOf } from '../log/log.ts'
import { DEAD_GROUP } from './channel.ts'
import { readDeadRecord } from './record.ts'

/** Milliseconds between two looks whether another process let a halted session go on. */
const LOOK_MS = 1_000

/** What the halted sessions of a group are found by. */
export interface HaltsHost {
  readonly env: Env
  readonly log: MessageLog
  readonly queue: Queue
  readonly group: string
  /** The stream of the channel's dead letters; undefined where nothing is halted. */
  readonly dead: string | undefined
  failed(error: unknown): void
}

/** The sessions of one group that wait until their dead letter is redriven or discarded. */
export class Halts {
  readonly #host: HaltsHost
  readonly #sessions = new Set<string>()
  /** Those whose dead letter another process has redriven or discarded: a redriven one comes out of the log, and goes first. */
  readonly #gone = new Set<string>()
  #timer: Timer | undefined
  /** What the dead letters looked like when they were read last. */
  #seen = ''
  #ended = false

  constructor(host: HaltsHost) {
    this.#host = host
  }

  /** True where a dead letter halts its session, and other processes have a say in it. */
  get isShared(): boolean {
    return this.#host.dead !== undefined && this.#host.log.supports.shared
  }

  halt(session: string): void {
    if (this.#host.dead === undefined || this.#sessions.has(session)) return
    this.#sessions.add(session)
    holdSession(this.#host.queue, session)
    if (this.isShared) this.#arm()
  }

  /** The dead letter of the session is gone. */
  release(session: string): void {
    this.#gone.delete(session)
    if (this.#sessions.delete(session)) releaseSession(this.#host.queue, session)
  }

  /** The redriven dead letter itself is there: it goes first. False when its session was not halted. */
  lift(session: string): boolean {
    this.#gone.delete(session)
    return this.#sessions.delete(session)
  }

  /** Learns from the log which sessions are halted now. */
  async refresh(): Promise<void> {
    const { log, dead, group } = this.#host
    if (dead === undefined) return
    const seen = await shapeOf(log, dead)
    if (seen === this.#seen) return
    const halted = await haltedSessions(log, dead, group)
    this.#seen = seen
    for (const session of halted) this.halt(session)
    for (const session of this.#sessions) {
      if (halted.has(session)) this.#gone.delete(session)
      else this.#gone.add(session)
    }
  }

  end(): void {
    this.#ended = true
    this.#timer?.cancel()
  }

  #arm(): void {
    this.#timer ??= this.#host.env.after(LOOK_MS, () => {
      this.#timer = undefined
      // Gone a whole look ago, and nothing came: it was discarded.
      for (const session of [...this.#gone]) this.release(session)
      this.refresh()
        .catch((error: unknown) => this.#host.failed(error))
        .finally(() => {
          if (this.#sessions.size > 0 && !this.#ended) this.#arm()
        })
    })
  }
}

/** Changes with every dead letter that comes or goes. */
async function shapeOf(log: MessageLog, dead: string): Promise<string> {
  const info = (await log.streams(channelOf(dead))).find((one) => one.stream === dead)
  const settled = (await log.groups(dead)).find(({ group }) => group === DEAD_GROUP)
  return `${info?.next ?? ''} ${settled === undefined ? '' : settled.acked + settled.dropped + settled.expired}`
}

/** The sessions of which a message died in the group, and whose dead letter nobody has redriven or discarded yet. */
async function haltedSessions(log: MessageLog, dead: string, group: string): Promise<Set<string>> {
  const sessions = new Set<string>()
  for await (const entry of log.read(dead, { openFor: DEAD_GROUP })) {
    if (entry.type === 'gap' || entry.message.session === undefined) continue
    const record = readDeadRecord(entry.note)
    const died = record?.reason !== 'expired' && record?.reason !== 'cancelled'
    if (record?.group === group && died) sessions.add(entry.message.session)
  }
  return sessions
}
