import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BusError } from '../kit/errors.ts'
import { messageMaker } from '../message/make.ts'
import { fakeEnv } from '../testing/fake-env.ts'
import { logOver } from './front.ts'
import type { Delivery, Item, MessageLog } from './log.ts'
import { memoryStore } from './memory.ts'
import type { Store, StoreOp } from './store.ts'

const maker = messageMaker()
const item = (data: unknown): Item => ({ message: maker.make('t', data) })

interface Faulty {
  readonly store: Store
  /** Refuses a commit when it returns an error. */
  refuse: (ops: readonly StoreOp[]) => Error | undefined
  /** Commits wait for it. */
  gate: Promise<void> | undefined
  readonly commits: (readonly StoreOp[])[]
  most: number
  /** Most commits under way at once that hold the state of a group. */
  mostWithGroups: number
}

const full = (): BusError => new BusError('STORE_FULL', 'no room')
const appends = (ops: readonly StoreOp[]): number => ops.filter(({ type }) => type === 'append').length

/** A store in memory that fails on command: whatever it refuses is really not there. */
function faultyStore(env: ReturnType<typeof fakeEnv>, maxBytes?: number): Faulty {
  const inner = memoryStore({ env, ...(maxBytes !== undefined && { maxBytes }) })
  let running = 0
  let withGroups = 0
  const faulty: Faulty = {
    refuse: () => undefined,
    gate: undefined,
    commits: [],
    most: 0,
    mostWithGroups: 0,
    store: {
      ...inner,
      async commit(ops) {
        const group = ops.some(({ type }) => type === 'group') ? 1 : 0
        faulty.most = Math.max(faulty.most, ++running)
        withGroups += group
        faulty.mostWithGroups = Math.max(faulty.mostWithGroups, withGroups)
        try {
          await faulty.gate
          const error = faulty.refuse(ops)
          if (error !== undefined) throw error
          const answers = await inner.commit(ops)
          faulty.commits.push(ops)
          return answers
        } finally {
          running--
          withGroups -= group
        }
      },
    },
  }
  return faulty
}

async function make(maxBytes?: number) {
  const env = fakeEnv()
  const faulty = faultyStore(env, maxBytes)
  const log = await logOver(faulty.store, { env })
  return { env, faulty, log }
}

async function take(log: MessageLog, count: number, stream: string = 'c/a'): Promise<Delivery[]> {
  const iterator = log.consume(stream, 'g', { maxInFlight: 10_000 })[Symbol.asyncIterator]()
  const taken: Delivery[] = []
  while (taken.length < count) taken.push((await iterator.next()).value as Delivery)
  return taken
}

/** What became of a promise, looked at without waiting for it. */
function outcome(promise: Promise<unknown>): { value?: unknown; error?: unknown } {
  const seen: { value?: unknown; error?: unknown } = {}
  promise.then(
    (value) => {
      seen.value = value
    },
    (error: unknown) => {
      seen.error = error
    },
  )
  return seen
}

test('an idle store gets the first step at once, and what came meanwhile in the next commit', async () => {
  const { faulty, log } = await make()
  const gate = Promise.withResolvers<void>()
  faulty.gate = gate.promise
  const first = log.append('c/a', [item(0)])
  await Promise.resolve()
  await Promise.resolve()
  const rest = Array.from({ length: 500 }, (_, index) => log.append('c/a', [item(index)]))
  gate.resolve()
  await Promise.all([first, ...rest])
  expect(faulty.commits.map(appends)).toEqual([1, 500])
  // The second holds nothing but publishes, which need not wait for the first.
  expect(faulty.most).toBe(2)
  await log[Symbol.asyncDispose]()
})

test('changes and settlements never have two commits under way', async () => {
  const { faulty, log } = await make()
  await log.append(
    'c/a',
    Array.from({ length: 100 }, (_, index) => item(index)),
  )
  let handled = 0
  for await (const delivery of log.consume('c/a', 'g')) {
    void delivery.settle('acked')
    void log.append('c/b', [item(handled)])
    if (++handled === 100) break
  }
  await log[Symbol.asyncDispose]()
  expect(handled).toBe(100)
  expect(faulty.mostWithGroups).toBe(1)
})

test('a commit is bounded in operations and bytes, and a single larger step goes alone', async () => {
  const { faulty, log } = await make()
  const many = Array.from({ length: 20_000 }, (_, index) => log.append('c/a', [item(index)]))
  const large = log.append(
    'c/b',
    Array.from({ length: 30_000 }, (_, index) => item(index)),
  )
  await Promise.all([...many, large])
  const sizes = faulty.commits.map(appends)
  expect(sizes.at(-1)).toBe(30_000)
  expect(Math.max(...sizes.slice(0, -1))).toBeLessThanOrEqual(8_192)
  await log[Symbol.asyncDispose]()
})

test('a publish whose commit fails rejects with that fault, is not stored, and may be sent again', async () => {
  const { faulty, log } = await make()
  faulty.refuse = full
  const lost = item('lost')
  await expect(log.append('c/a', [lost])).rejects.toMatchObject({ code: 'STORE_FULL' })
  faulty.refuse = () => new Error('EIO')
  await expect(log.append('c/a', [lost])).rejects.toMatchObject({ code: 'STORE_FAILED', cause: new Error('EIO') })
  faulty.refuse = () => undefined
  expect(await log.append('c/a', [lost])).toMatchObject([{ offset: '1', duplicate: false }])
  await log[Symbol.asyncDispose]()
})

test('settlements are never lost: they are tried at once, then each second, until they are kept', async () => {
  const { env, faulty, log } = await make()
  await log.append('c/a', [item(1), item(2)])
  const [one, two] = await take(log, 2)
  let tries = 0
  faulty.refuse = (ops) => {
    if (ops.some(({ type }) => type === 'group')) tries++
    return full()
  }
  const acks = [one!.settle('acked'), two!.nack({ note: 'again' })].map(outcome)
  const publish = outcome(log.append('c/a', [item(3)]))
  await env.settle()
  expect(publish.error).toMatchObject({ code: 'STORE_FULL' })
  expect(acks).toEqual([{}, {}])
  // With the publish, and at once without it.
  expect(tries).toBe(2)
  await env.advance(3_000)
  expect(tries).toBe(5)
  faulty.refuse = () => undefined
  await env.advance(1_000)
  expect(acks).toEqual([{ value: true }, { value: true }])
  expect(env.timers).toBe(0)
  const stored = await memoryOf(faulty)
  expect(stored.groups).toMatchObject([{ position: 3, counts: { acked: 1 }, open: [{ offset: 2, note: 'again' }] }])
  await log[Symbol.asyncDispose]()
  expect(env.timers).toBe(0)
})

const memoryOf = ({ store }: Faulty) => store.load()

test('publishing goes on being tried while settlements wait, and works as soon as there is room', async () => {
  const { env, faulty, log } = await make()
  await log.append('c/a', [item(1)])
  const [one] = await take(log, 1)
  faulty.refuse = full
  const ack = outcome(one!.settle('acked'))
  await env.settle()
  faulty.refuse = () => undefined
  expect(await log.append('c/a', [item(2)])).toMatchObject([{ offset: '2' }])
  expect(ack).toEqual({})
  await env.advance(1_000)
  expect(ack).toEqual({ value: true })
  await log[Symbol.asyncDispose]()
})

test('settlements that failed together with a publish are tried without any, however many publishes come', async () => {
  const { env, faulty, log } = await make()
  await log.append('c/a', [item(1)])
  const [one] = await take(log, 1)
  let more = 5
  faulty.refuse = (ops) => {
    if (appends(ops) === 0) return undefined
    // The next publish waits by the time this one has failed.
    if (more-- > 0) void outcome(log.append('c/a', [item('more')]))
    return full()
  }
  const publish = outcome(log.append('c/a', [item(2)]))
  const ack = one!.settle('acked').then(() => more)
  await env.settle()
  expect(publish.error).toBeDefined()
  expect(await ack).toBe(4)
  faulty.refuse = () => undefined
  await log[Symbol.asyncDispose]()
})

test('while the state of groups cannot be stored, new dead letters wait with it and fail no publish', async () => {
  const { env, faulty, log } = await make()
  await log.append('c/a', [item(1), item(2)])
  const [one, two] = await take(log, 2)
  faulty.refuse = (ops) => (ops.some(({ type }) => type === 'group') ? full() : undefined)
  const ack = outcome(one!.settle('acked'))
  await env.settle()
  const dead = outcome(two!.settle('dead', { stream: 'c/dead' }))
  expect(await log.append('c/a', [item(3)])).toHaveLength(1)
  expect([ack, dead]).toEqual([{}, {}])
  faulty.refuse = () => undefined
  await env.advance(1_000)
  expect([ack, dead]).toEqual([{ value: true }, { value: true }])
  await log[Symbol.asyncDispose]()
})

test('[C15] a dead letter that finds no room is not half done: other settlements are kept, and it is tried again', async () => {
  const { env, faulty, log } = await make()
  await log.append('c/a', [item(1), item(2), item(3)])
  const [one, two, three] = await take(log, 3)
  faulty.refuse = (ops) => (appends(ops) > 0 ? full() : undefined)
  const dead = outcome(two!.settle('dead', { stream: 'c/dead', note: 'why' }))
  const acks = [one!, three!].map((delivery) => outcome(delivery.settle('acked')))
  await env.advance(2_500)
  expect(acks).toEqual([{ value: true }, { value: true }])
  expect(dead).toEqual({})
  const held = await memoryOf(faulty)
  expect(held.streams.map(({ stream }) => stream)).toEqual(['c/a'])
  expect(held.groups[0]?.counts).toMatchObject({ acked: 2, dead: 0 })
  expect(await log.groups('c/a')).toMatchObject([{ acked: 2, dead: 0, leased: 1 }])
  faulty.refuse = () => undefined
  await env.advance(1_000)
  expect(dead).toEqual({ value: true })
  expect(await log.groups('c/a')).toMatchObject([{ acked: 2, dead: 1, leased: 0 }])
  const letters = []
  for await (const entry of log.read('c/dead')) letters.push(entry)
  expect(letters).toMatchObject([{ message: { data: 2 }, note: 'why' }])
  await log[Symbol.asyncDispose]()
})

test('one dead letter that can never be stored holds up no other, and fails no publish but those of its first try', async () => {
  const { env, faulty, log } = await make()
  await log.append(
    'c/a',
    Array.from({ length: 6 }, (_, index) => item(index)),
  )
  const taken = await take(log, 6)
  faulty.refuse = (ops) => {
    const poison = ops.some((op) => op.type === 'append' && op.note === 'poison')
    return poison ? new BusError('STORE_FAILED', 'poison') : undefined
  }
  const deads = taken.map((delivery, index) =>
    outcome(delivery.settle('dead', { stream: 'c/dead', note: index === 2 ? 'poison' : 'fine' })),
  )
  await env.advance(5_000)
  expect(deads.map(({ value }) => value)).toEqual([true, true, undefined, true, true, true])
  for (let count = 0; count < 20; count++) {
    await log.append('c/a', [item(count)])
    await env.advance(250)
  }
  expect(await log.groups('c/a')).toMatchObject([{ dead: 5, leased: 1 }])
  await log[Symbol.asyncDispose]()
  expect(deads[2]?.error).toMatchObject({ code: 'STORE_FAILED' })
})

test('removing what is settled makes room in a full store', async () => {
  const { log } = await make(6_000)
  let stored = 0
  try {
    for (;;) {
      await log.append('c/a', [item('x'.repeat(200))])
      stored++
    }
  } catch (error) {
    expect(error).toMatchObject({ code: 'STORE_FULL' })
  }
  expect(stored).toBeGreaterThan(10)
  for (const delivery of await take(log, stored)) await delivery.settle('acked')
  const refused = outcome(log.append('c/a', [item('x'.repeat(200))]))
  const trimmed = log.trim('c/a', { maxCount: 2 })
  expect(await trimmed).toBe(stored - 2)
  expect(refused.error ?? refused.value).toBeDefined()
  expect(await log.append('c/a', [item('x'.repeat(200))])).toHaveLength(1)
  expect(await log.streams()).toMatchObject([{ first: String(stored - 1) }])
  await log[Symbol.asyncDispose]()
})

test('a removal whose commit fails rejects, and everything is still there', async () => {
  const { faulty, log } = await make()
  await log.append('c/a', [item(1), item(2)])
  for (const delivery of await take(log, 2)) await delivery.settle('acked')
  faulty.refuse = full
  await expect(log.trim('c/a', { maxCount: 0 })).rejects.toMatchObject({ code: 'STORE_FULL' })
  expect(await log.streams()).toMatchObject([{ first: '1', count: 2 }])
  const seen = []
  for await (const entry of log.read('c/a')) seen.push(entry.type)
  expect(seen).toEqual(['entry', 'entry'])
  faulty.refuse = () => undefined
  await log[Symbol.asyncDispose]()
})

test('a log that is closed while its store fails tells everyone whose settlement is not kept, and ends', async () => {
  const { env, faulty, log } = await make()
  await log.append('c/a', [item(1), item(2)])
  const [one, two] = await take(log, 2)
  faulty.refuse = full
  const seen = [one!.settle('acked'), two!.settle('dead', { stream: 'c/dead' }), log.append('c/a', [item(3)])].map(
    outcome,
  )
  await log[Symbol.asyncDispose]()
  await env.settle()
  expect(seen.map(({ error }) => (error as BusError | undefined)?.code)).toEqual([
    'STORE_FAILED',
    'STORE_FAILED',
    'STORE_FULL',
  ])
  expect(env.timers).toBe(0)
})

test('[I10] whatever fails and whenever, each message is settled once, with its dead letter or without', async () => {
  const script = fc.array(
    fc.record({
      type: fc.constantFrom('publish', 'publish', 'ack', 'bury', 'nack', 'trim', 'wait'),
      refuse: fc.constantFrom('none', 'none', 'all', 'appends', 'odd'),
    }),
    { maxLength: 60, size: 'max' },
  )
  await fc.assert(
    fc.asyncProperty(script, async (commands) => {
      const { env, faulty, log } = await make()
      const published = new Set<number>()
      let number = 0
      let odd = 0
      const iterator = log.consume('c/a', 'g', { ackWaitMs: 1e9 })[Symbol.asyncIterator]()
      const waiting: Delivery[] = []
      let asking = false
      const settled: Promise<unknown>[] = []
      for (const { type, refuse } of commands) {
        faulty.refuse = (ops) => {
          if (refuse === 'none' || (refuse === 'appends' && appends(ops) === 0)) return undefined
          return refuse === 'odd' && ++odd % 2 === 0 ? undefined : full()
        }
        if (type === 'publish') {
          const own = number++
          void log.append('c/a', [item(own)]).then(
            () => published.add(own),
            () => undefined,
          )
        } else if (type === 'wait') await env.advance(700)
        else if (type === 'trim') void log.trim('c/a', { maxCount: 1 }).catch(() => undefined)
        else {
          if (!asking) {
            asking = true
            void iterator.next().then(({ value }) => {
              asking = false
              waiting.push(value as Delivery)
            })
          }
          await env.settle()
          const delivery = waiting.shift()
          if (delivery === undefined) continue
          if (type === 'nack') await Promise.race([delivery.nack(), env.settle()])
          else settled.push(type === 'ack' ? delivery.settle('acked') : delivery.settle('dead', { stream: 'c/dead' }))
        }
        // What the store knows is whole after each commit.
        const { streams, groups } = await faulty.store.load()
        const letters = (streams.find(({ stream }) => stream === 'c/dead')?.next ?? 1) - 1
        expect(letters).toBe(groups[0]?.counts.dead ?? 0)
      }
      faulty.refuse = () => undefined
      await env.advance(2_000)
      await Promise.all(settled)
      const [figures] = await log.groups('c/a')
      expect(figures?.published).toBe(published.size)
      expect((figures?.acked ?? 0) + (figures?.dead ?? 0)).toBe(settled.length)
      await log[Symbol.asyncDispose]()
    }),
    { numRuns: 40 },
  )
}, 60_000)
