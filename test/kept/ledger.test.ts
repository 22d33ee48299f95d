import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Bus, type Context, PRIORITIES, type Priority, type Subscription } from '../../src/index.ts'
import { balance } from '../../src/reliability/index.ts'
import { type FakeEnv, fakeEnv } from '../../src/testing/index.ts'
import { BACKENDS, until } from './support.ts'

const RETRY = { attempts: 3, firstDelayMs: 50, factor: 2, jitter: 'none' } as const
const GROUPS = ['red', 'blue'] as const
const HANDLER_MS = 200

/** What a handler does with a message in its first attempts; then it succeeds. */
type Deed = 'done' | 'throw' | 'nack' | 'hang' | 'doom'

interface Post {
  readonly type: 'publish'
  readonly session: number | undefined
  readonly priority: Priority
  readonly ttlMs: number | undefined
  readonly delayMs: number | undefined
  /** The id of an earlier message again. */
  readonly repeats: boolean
  readonly deed: Deed
}

type Step =
  | Post
  | { readonly type: 'join' | 'part'; readonly group: number }
  | { readonly type: 'cancel' | 'redrive' | 'discard'; readonly which: number }
  | { readonly type: 'advance'; readonly ms: number }
  | { readonly type: 'replay' | 'restart' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant('publish' as const),
      session: fc.option(fc.nat(2), { nil: undefined }),
      priority: fc.constantFrom(...PRIORITIES),
      ttlMs: fc.option(fc.constantFrom(20, 300), { nil: undefined, freq: 5 }),
      delayMs: fc.option(fc.constantFrom(10, 400), { nil: undefined, freq: 5 }),
      repeats: fc.boolean(),
      deed: fc.constantFrom<Deed>('done', 'done', 'done', 'throw', 'nack', 'hang', 'doom'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constantFrom('join' as const, 'part' as const), group: fc.nat(1) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constantFrom('cancel' as const, 'redrive' as const, 'discard' as const),
      which: fc.nat(30),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('advance' as const), ms: fc.constantFrom(1, 30, 250, 16_000) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('replay' as const, 'restart' as const) }) },
)

const program = fc.record({
  /** Groups that are there from the start. */
  early: fc.subarray([0, 1]),
  steps: fc.array(step, { minLength: 8, maxLength: 40, size: 'max' }),
})

const idOf = (n: number): string => `00000000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`

/** Plays a program, looking at the ledger after every step. */
class Play {
  readonly env: FakeEnv = fakeEnv()
  readonly #open: (env: FakeEnv) => Promise<Bus>
  readonly #deeds: Deed[] = []
  readonly #members = new Map<string, Subscription>()
  /** Groups that were ever there: they keep their place in the log. */
  readonly groups = new Set<string>()
  readonly handled = new Set<string>()
  /** How often each state of the ledger was met. */
  readonly met: Record<string, number> = {}
  bus!: Bus

  constructor(open: (env: FakeEnv) => Promise<Bus>) {
    this.#open = open
  }

  get published(): number {
    return this.#deeds.length
  }

  async start(): Promise<void> {
    this.bus = await this.#open(this.env)
    for (const group of this.#members.keys()) this.#join(group)
    await this.settle()
  }

  /** Promises, turns and the thread of a store come to rest; the clock stands. */
  async settle(): Promise<void> {
    await this.env.settle()
    // A question is answered behind all that was asked before.
    await this.bus.deadLetters.count()
    await this.env.settle()
  }

  async run(step: Step): Promise<void> {
    switch (step.type) {
      case 'publish':
        await this.#publish(step)
        break
      case 'join':
        this.#join(GROUPS[step.group] as string)
        break
      case 'part':
        this.#part(GROUPS[step.group] as string)
        break
      case 'cancel':
        await this.bus.cancel(idOf(step.which % Math.max(1, this.published)))
        break
      case 'redrive':
      case 'discard': {
        const letters = await this.bus.deadLetters.list()
        const letter = letters[step.which % Math.max(1, letters.length)]
        if (letter !== undefined) await this.bus.deadLetters[step.type](letter.id)
        break
      }
      case 'advance':
        await this.env.advance(step.ms)
        break
      case 'replay': {
        const seen: string[] = []
        for await (const { id } of this.bus.replay('work.>')) seen.push(id)
        expect(new Set(seen).size, 'a replay shows each message once').toBe(seen.length)
        expect(seen.length).toBe(this.published)
        break
      }
      case 'restart':
        await this.bus.close({ limitMs: 0 })
        await this.start()
        break
      default:
        step satisfies never
    }
    await this.settle()
    await this.check(JSON.stringify(step))
  }

  async check(at: string): Promise<void> {
    for (const { name, ledger, deadLetters } of await this.bus.channels()) {
      expect(balance(ledger), `${name} after ${at}: ${JSON.stringify(ledger)}`).toBe(0)
      for (const [field, count] of Object.entries(ledger)) {
        expect(count, `${field} after ${at}`).toBeGreaterThanOrEqual(0)
        this.met[field] = (this.met[field] ?? 0) + count
      }
      expect(deadLetters, at).toBe(await this.bus.deadLetters.count({ channel: name }))
    }
  }

  async #publish({ session, priority, ttlMs, delayMs, repeats, deed }: Post): Promise<void> {
    const again = repeats && this.published > 0
    const n = again ? this.published - 1 : this.published
    const ack = await this.bus.publish(`work.t${n % 2}`, n, {
      id: idOf(n),
      priority,
      ...(session === undefined ? {} : { session: `s${session}` }),
      ...(ttlMs === undefined ? {} : { ttlMs }),
      ...(delayMs === undefined ? {} : { delayMs }),
    })
    expect(ack).toMatchObject({ id: idOf(n), duplicate: again })
    if (!again) this.#deeds.push(deed)
  }

  #join(group: string): void {
    if (this.#members.get(group)?.active === true) return
    this.groups.add(group)
    const handler = (n: number, context: Context): unknown => {
      const deed = this.#deeds[n] as Deed
      const tries = context.attempt
      if (deed === 'doom' || (deed === 'throw' && tries < 3)) throw new Error(`${group} ${n} ${tries}`)
      if (deed === 'nack' && tries === 1) {
        context.nack({ delayMs: 70 })
        return undefined
      }
      if (deed === 'hang' && tries === 1) return new Promise(() => undefined)
      this.handled.add(`${group} ${n}`)
      return undefined
    }
    const subscription = this.bus.subscribe('work.*', ({ data }, context) => handler(data as number, context), {
      group,
      handlerTimeoutMs: HANDLER_MS,
    })
    this.#members.set(group, subscription)
  }

  #part(group: string): void {
    this.#members.get(group)?.unsubscribe()
    this.#members.delete(group)
  }

  /** Everybody works until nothing is left. */
  async finish(): Promise<void> {
    for (const group of this.groups) this.#join(group)
    let rounds = 0
    await until(async () => {
      await this.env.advance(20_000)
      await this.settle()
      await this.check(`round ${++rounds} of the end`)
      const open = (await this.bus.channels()).map(({ ledger }) => ledger.pending + ledger.leased + ledger.delayed)
      return open.every((count) => count === 0)
    }, 'the end')
  }
}

describe.each(BACKENDS)('on $name', ({ name, make }) => {
  test('[I10] [V51] after every step of any program the ledgers balance, and at the end each message is in one state in each group', {
    timeout: 300_000,
  }, async () => {
    const met: Record<string, number> = {}
    await fc.assert(
      fc.asyncProperty(program, async ({ early, steps }) => {
        await using store = make()
        const play = new Play((env) => store.open({ env, defaults: { retry: RETRY }, drainMs: 0 }))
        await play.start()
        try {
          for (const group of early) await play.run({ type: 'join', group })
          for (const one of steps) await play.run(one)
          await play.finish()
          for (const [field, count] of Object.entries(play.met)) met[field] = (met[field] ?? 0) + count
          const [work] = (await play.bus.channels()).filter((one) => one.name === 'work')
          if (work === undefined || play.groups.size === 0) return
          const { acked, dead, expired, dropped, published } = work.ledger
          expect(acked + dead + expired + dropped).toBe(published)
          const letters = await play.bus.deadLetters.list({ limit: 1_000 })
          const dying = letters.map(({ group, message }) => `${group.split(':')[0]} ${message.data as number}`)
          expect(new Set(dying).size, 'no message is dead twice in a group').toBe(dying.length)
          for (const one of dying) if (play.handled.has(one)) expect.fail(`${one} was handled and is dead`)
        } finally {
          await play.bus.close({ limitMs: 0 })
        }
      }),
      { numRuns: name === 'memory' ? 150 : 25 },
    )
    // A state that no program has met was not tested.
    for (const state of ['acked', 'pending', 'delayed', 'held', 'dead', 'expired', 'dropped']) {
      expect(met[state], `${state}: ${JSON.stringify(met)}`).toBeGreaterThan(0)
    }
  })
})
