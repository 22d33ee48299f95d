import assert from 'node:assert/strict'
import type { ConsumeOptions, Delivery, MessageLog, Settled } from '../log.ts'
import { figures, firstOf, item, type Suite, seeded, type TestConsumer } from './harness.ts'

const SESSIONS = 20
const STEPS = 260
const ACK_WAIT_MS = 400
const OUTCOMES: readonly Settled[] = ['acked', 'acked', 'dead', 'expired', 'dropped']

/** Makes one more consumer of the group `g` of the stream `c/a`. */
export type Party = (options: Omit<ConsumeOptions, 'signal'>) => TestConsumer

/** Who takes part in a {@link sessionRun}. */
export interface SessionRun {
  readonly clock: Suite['clock']
  /** The log, in as many instances as there are. */
  readonly logs: readonly [MessageLog, ...MessageLog[]]
  /** One for each consumer that runs beside the others. */
  readonly parties: readonly Party[]
  /** Deliveries are given back, too, at once and after a while; without that no two consumers hold one session, whatever happens. */
  readonly nacks: boolean
  readonly seed: number
}

interface Held {
  readonly who: number
  readonly session: string
  readonly number: number
  readonly delivery: Delivery
}

/** The sessions of a stream as their consumers see them. */
class Watch {
  readonly #fencing: boolean
  readonly #nacks: boolean
  /** How many entries of each session have been met. */
  readonly #met = new Map<string, number>()
  readonly settled = new Set<string>()
  held: Held[] = []

  constructor(fencing: boolean, nacks: boolean) {
    this.#fencing = fencing
    this.#nacks = nacks
  }

  /** A consumer was given a delivery: nobody else may own its session, and nothing before it is left out. */
  async take(who: number, delivery: Delivery): Promise<Held | undefined> {
    // It may have waited for this test for longer than its lease.
    if (!(await delivery.extend())) return undefined
    const { session, number } = delivery.message.data as { session: string; number: number }
    const met = this.#met.get(session) ?? 0
    assert.ok(number <= met, `${session}: ${number} was handed out before ${met}`)
    if (number === met) this.#met.set(session, met + 1)
    assert.ok(!this.settled.has(`${session} ${number}`), `${session}: ${number} was handed out after it was settled`)
    for (const other of this.held) {
      if (!this.#fencing || other.who === who || other.session !== session) continue
      if (this.#nacks && other.number >= number) continue
      // A lease that can be extended is a lease: and this one is older.
      if (!(await other.delivery.extend()) || !(await delivery.extend())) continue
      assert.fail(`${session}: ${other.number} is held by ${other.who}, and ${number} was given to ${who}`)
    }
    const held = { who, session, number, delivery }
    this.held.push(held)
    return held
  }

  async settle({ session, number, delivery }: Held, as: Settled): Promise<void> {
    this.held = this.held.filter((one) => one.delivery !== delivery)
    if (!(await delivery.settle(as, as === 'dead' ? { stream: 'c/dead' } : undefined))) return
    const key = `${session} ${number}`
    assert.ok(!this.settled.has(key), `${key} was settled twice`)
    this.settled.add(key)
  }

  drop(gone: (held: Held) => boolean): void {
    this.held = this.held.filter((one) => !gone(one))
  }
}

/** A random program of consumers that share sessions; checks after each hand-out, and the ledger in the end. */
export async function sessionRun({ clock, logs, parties, nacks, seed }: SessionRun): Promise<void> {
  const below = seeded(seed)
  const [log] = logs
  const options = { maxInFlight: 4, ackWaitMs: ACK_WAIT_MS }
  const consumers = parties.map((party) => party(options))
  const watch = new Watch(log.supports.fencing, nacks)
  const counts = new Map<string, number>()
  let appended = 0

  const append = async (): Promise<void> => {
    const list = Array.from({ length: 1 + below(6) }, () => {
      const session = `s${below(SESSIONS)}`
      const number = counts.get(session) ?? 0
      counts.set(session, number + 1)
      return item({ session, number }, {}, { session })
    })
    appended += list.length
    await (logs[below(logs.length)] as MessageLog).append('c/a', list)
  }
  const take = async (who: number): Promise<void> => {
    const one = consumers[who] as TestConsumer
    let came = false
    void one.came().then(() => {
      came = true
    })
    await clock.advance(2)
    if (came) await watch.take(who, await one.next())
  }
  const giveBack = async (held: Held): Promise<void> => {
    const hold = !nacks || below(3) === 0
    if (!hold) watch.drop((one) => one === held)
    void held.delivery.begin()
    await held.delivery.nack({ delayMs: below(2) * 30, hold, count: below(2) === 0 })
  }
  const end = async (who: number): Promise<void> => {
    watch.drop((one) => one.who === who)
    await (consumers[who] as TestConsumer)[Symbol.asyncDispose]()
    consumers[who] = (parties[who] as Party)(options)
  }

  await log.join('c/a', 'g')
  for (let step = 0; step < STEPS; step++) {
    const dice = below(12)
    const held = watch.held[below(Math.max(1, watch.held.length))]
    if (dice < 2) await append()
    else if (dice < 7) await take(below(consumers.length))
    else if (dice < 9 && held !== undefined) await watch.settle(held, OUTCOMES[below(5)] as Settled)
    else if (dice === 9 && held !== undefined) await giveBack(held)
    else if (dice === 10 && below(4) === 0) await end(below(consumers.length))
    else if (dice === 11 && below(5) === 0) await clock.advance(ACK_WAIT_MS + 50)
    else await clock.advance(3)
  }
  for (const held of watch.held) await watch.settle(held, 'acked')
  await clock.advance(100)
  while (watch.settled.size < appended) {
    const one = await firstOf(consumers)
    const held = await watch.take(consumers.indexOf(one), await one.next())
    if (held !== undefined) await watch.settle(held, 'acked')
  }
  for (const one of consumers) await one[Symbol.asyncDispose]()
  for (const instance of logs) {
    const { published, acked, dead, expired, dropped, pending, leased, delayed } = await figures(instance, 'c/a')
    assert.deepEqual([published, acked + dead + expired + dropped], [appended, appended])
    assert.deepEqual([pending, leased, delayed], [0, 0, 0])
  }
}
