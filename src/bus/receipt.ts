import type { Envelope } from '../message/message.ts'
import type { DeliveryReport, FailureReason, Outcome } from './ack.ts'
import type { Delivery, DeliveryOwner, Note } from './delivery.ts'
import type { Entry } from './router.ts'

/** Collects what becomes of one message at each recipient. */
export class Receipt implements Note {
  readonly frame: Delivery | undefined
  readonly awaited: Envelope
  owners: readonly DeliveryOwner[] = []
  readonly reports: DeliveryReport[] = []
  readonly #done = Promise.withResolvers<readonly DeliveryReport[]>()
  /** A publish is not given up. */
  readonly cancelled = false
  #settled = 0
  #expected = Number.POSITIVE_INFINITY

  /** `frame`: the handling that waits for the recipients before it goes on. */
  constructor(frame: Delivery | undefined, message: Envelope) {
    this.frame = frame
    this.awaited = message
    frame?.waitFor(this)
  }

  /** Resolves when every recipient is done. */
  get done(): Promise<readonly DeliveryReport[]> {
    return this.#done.promise
  }

  /** Says how many recipients there are; some may be done already. */
  arm(expected: number): void {
    this.#expected = expected
    this.#check()
  }

  started(): void {}

  settled(name: string, outcome: Outcome, _value: unknown, reason: FailureReason | undefined, error: unknown): void {
    this.reports.push(reason === undefined ? { name, outcome } : { name, outcome, reason, error })
    this.#settled++
    this.#check()
  }

  /** A recipient did not accept the message. */
  refused(name: string, error: Error): void {
    this.reports.push({ name, outcome: 'refused', reason: 'queue-full', error })
    this.#settled++
    this.#check()
  }

  /** One recipient, another process, is done: how it went there. */
  elsewhere(reports: readonly DeliveryReport[]): void {
    this.reports.push(...reports)
    this.#settled++
    this.#check()
  }

  #check(): void {
    if (this.#settled < this.#expected) return
    this.frame?.stopWaiting(this)
    this.#done.resolve(this.reports)
  }
}

/** Recipients of different ranks: those of one rank begin when all of the former rank are done. */
export class Ranks implements Note {
  readonly frame: Delivery | undefined
  owners: readonly DeliveryOwner[]
  readonly #behind: Note | undefined
  readonly #waves: Entry[][]
  readonly #send: (entries: readonly Entry[], message: Envelope) => void
  readonly #message: Envelope
  #left = 0

  constructor(
    message: Envelope,
    entries: readonly Entry[],
    behind: Note | undefined,
    send: (entries: readonly Entry[], message: Envelope) => void,
  ) {
    const byRank = Map.groupBy(entries, (entry) => entry.rank)
    this.#waves = [...byRank.keys()].sort((a, b) => a - b).map((rank) => byRank.get(rank) as Entry[])
    this.#message = message
    this.owners = entries.map((entry) => entry.queue)
    this.#behind = behind
    this.#send = send
    this.frame = behind?.frame
  }

  get awaited(): Envelope {
    return this.#message
  }

  get cancelled(): boolean {
    return this.#behind?.cancelled ?? false
  }

  started(delivery: Delivery): void {
    this.#behind?.started(delivery)
  }

  settled(name: string, outcome: Outcome, value: unknown, reason: FailureReason | undefined, error: unknown): void {
    this.#behind?.settled(name, outcome, value, reason, error)
    this.release()
  }

  /** One recipient of the present wave less; the last one starts the next wave. */
  release(): void {
    if (--this.#left > 0) return
    this.nextWave()
  }

  /** Sends to the recipients of the next rank. */
  nextWave(): void {
    const wave = this.#waves.shift()
    if (wave === undefined) return
    this.#left = wave.length
    this.#send(wave, this.#message)
  }
}
