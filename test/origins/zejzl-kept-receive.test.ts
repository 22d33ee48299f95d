import { describe, expect, test } from 'vitest'
import type { Bus, Inbox, Message } from '../../src/index.ts'
import { numbers } from './support/cortex-veritas.ts'
import { BACKENDS, child, file, keptRig, ledgerOf, until } from './support/kept.ts'

/** Ways in which a consumer takes by hand; each is code that makes `next()`. */
const WAYS = {
  receive: `const a = bus.register('a'); const next = () => a.receive()`,
  'for await': `const loop = bus.register('a')[Symbol.asyncIterator](); const next = async () => (await loop.next()).value`,
  'an inbox of a group': `const box = bus.inbox('agent.a', { group: 'hands' }); const next = () => box.receive()`,
}

/** Takes `count` messages in a process of its own, waits until the log knows of the acknowledged ones, and kills it. */
async function takeAndDie(path: string, way: string, count: number): Promise<string[]> {
  const code = `
    const { subscribe } = await import('node:diagnostics_channel')
    let acked = 0
    const all = Promise.withResolvers()
    if (${count} === 1) all.resolve()
    subscribe('swarmbus.message.acked', () => ++acked === ${count - 1} && all.resolve())
    ${way}
    for (let left = ${count}; left > 0; left--) say('took ' + JSON.stringify((await next()).data))
    await all.promise
    say('done')
    setInterval(() => undefined, 1000)
  `
  const consumer = child(path, '{}', code)
  await consumer.said('done')
  await consumer.kill()
  return consumer.lines.filter((line) => line.startsWith('took')).map((line) => line.slice(5))
}

async function fill(path: string, count: number): Promise<void> {
  const publisher = child(
    path,
    '{}',
    `for (let n = 0; n < ${count}; n++) await bus.publish('agent.a', n, { session: 's' }); await bus.close(); say('kept')`,
  )
  await publisher.said('kept')
  await publisher.ended
}

describe('killed with -9 on sqlite', () => {
  test.each(Object.entries(WAYS))(
    '[ZN16] [I4] a consumer that dies after taking a message by %s loses nothing: the next one gets it first, in order',
    async (_name, way) => {
      const path = file()
      await fill(path, 5)
      // Taken and acknowledged by the next take: 0 and 1. Taken only: 2.
      expect(await takeAndDie(path, way, 3)).toEqual(['0', '1', '2'])
      expect(await takeAndDie(path, way, 1)).toEqual(['2'])
      expect(await takeAndDie(path, way, 3)).toEqual(['2', '3', '4'])
    },
  )

  test('[ZN16] [I17] a message that kills whoever takes it ends in the dead letters, and the next one is reached', {
    timeout: 60_000,
  }, async () => {
    const path = file()
    await fill(path, 2)
    const options = `{ defaults: { retry: { attempts: 3, firstDelayMs: 0 } } }`
    const code = `
      const a = bus.register('a')
      bus.deadLetters.watch((letter) => say('dead ' + letter.message.data + ' ' + letter.reason))
      const message = await a.receive()
      say('took ' + message.data)
      // Long enough that the log knows it was taken.
      await bus.publish('other.x', 1)
      await new Promise((resolve) => setTimeout(resolve, 50))
      process.kill(process.pid, 'SIGKILL')
    `
    const lines: string[] = []
    for (let life = 0; life < 6 && !lines.includes('took 1'); life++) {
      const consumer = child(path, options, code)
      expect(await consumer.ended).toBe('SIGKILL')
      lines.push(...consumer.lines)
    }
    expect(lines.filter((line) => line.startsWith('took'))).toEqual(['took 0', 'took 0', 'took 0', 'took 1'])
    expect(lines).toContain('dead 0 agent-unresponsive')
  })
})

describe.each(BACKENDS)('on $name', ({ make }) => {
  async function taken(box: { receive: Inbox['receive'] }, count: number): Promise<unknown[]> {
    const data: unknown[] = []
    while (data.length < count) data.push((await box.receive()).data)
    return data
  }

  const acked = async (bus: Bus): Promise<number> => (await ledgerOf(bus)).acked ?? 0

  test('[ZN16] a message taken by hand is acknowledged when the next one is taken, or at an orderly end, not before', async () => {
    await using store = make()
    const bus = await store.open()
    const agent = bus.register('a')
    for (const index of numbers(4)) await bus.send('a', index)
    expect(await taken(agent, 2)).toEqual([0, 1])
    await until(async () => (await acked(bus)) === 1, 'the first acknowledgement')
    expect(await ledgerOf(bus)).toMatchObject({ acked: 1, balance: 0 })
    await bus.close()
    const again = await store.open()
    expect(await taken(again.register('a'), 2)).toEqual([2, 3])
    await again.close()
  })

  test('[ZN16] a message taken by hand stays with its consumer however long it takes, as long as the process lives', async () => {
    await using store = make()
    await using rig = await keptRig(store, { defaults: { ackWaitMs: 1_000 } })
    const { bus } = rig
    const first = bus.register('a')
    const others = bus.inbox('tasks.*', { group: 'g' })
    await bus.send('a', 1)
    await bus.publish('tasks.x', 2)
    const got: Message[] = []
    void first.receive().then((message) => got.push(message))
    void others.receive().then((message) => got.push(message))
    await rig.advance(10)
    expect(got).toHaveLength(2)
    const late = [first.receive({ timeoutMs: 60_000 }), others.receive({ timeoutMs: 60_000 })]
    const codes = late.map((one) =>
      one.then(
        () => 'got',
        (error: { code: string }) => error.code,
      ),
    )
    for (let second = 0; second < 62; second++) await rig.advance(1_000)
    expect(await Promise.all(codes)).toEqual(['RECEIVE_TIMEOUT', 'RECEIVE_TIMEOUT'])
    expect(await ledgerOf(bus)).toMatchObject({ acked: 0, leased: 2, balance: 0 })
  })

  test.each(['lanes', 'strict'] as const)(
    '[ZN16] [I6] with order "%s" a session is taken by hand in order, one message after the other',
    async (order) => {
      await using store = make()
      const bus = await store.open({ defaults: { order } })
      const agent = bus.register('a')
      const box = bus.inbox('tasks.*', { group: 'g' })
      for (const index of numbers(5)) {
        await bus.send('a', index, { session: 's' })
        await bus.publish('tasks.x', index, { session: 's' })
      }
      expect(await taken(agent, 5)).toEqual(numbers(5))
      expect(await taken(box, 5)).toEqual(numbers(5))
      await bus.close()
    },
  )

  test('[ZN16] a window of 1 does not stop a consumer that takes by hand', async () => {
    await using store = make()
    const bus = await store.open({ defaults: { window: 1 } })
    const box = bus.inbox('tasks.*', { group: 'g' })
    for (const index of numbers(4)) await bus.publish('tasks.x', index)
    expect(await taken(box, 4)).toEqual(numbers(4))
    await bus.close()
  })

  test('[ZN16] taking from one channel acknowledges what the same inbox took from another', async () => {
    await using store = make()
    const bus = await store.open()
    const box = bus.inbox(['tasks.*', 'jobs.*'], { group: 'g' })
    await bus.publish('tasks.x', 1)
    expect(await taken(box, 1)).toEqual([1])
    await bus.publish('jobs.x', 2)
    expect(await taken(box, 1)).toEqual([2])
    await until(async () => (await acked(bus)) === 1, 'the acknowledgement of the first')
    await bus.close()
  })

  test('[ZN16] what waits for an agent that unregisters is there for the next one of its name', async () => {
    await using store = make()
    const bus = await store.open()
    const agent = bus.register('a')
    for (const index of numbers(4)) await bus.send('a', index, { session: 's' })
    expect(await taken(agent, 1)).toEqual([0])
    agent.unregister()
    expect(await taken(bus.register('a'), 3)).toEqual([1, 2, 3])
    await until(async () => (await acked(bus)) === 3, 'the acknowledgements')
    expect(await bus.deadLetters.count()).toBe(0)
    await bus.close()
  })

  test('[ZN16] an inbox that ends gives back what it had not handed out, also to another member of its group', async () => {
    await using store = make()
    const bus = await store.open()
    const one = bus.inbox('tasks.*', { group: 'g' })
    for (const index of numbers(4)) await bus.publish('tasks.x', index)
    expect(await taken(one, 1)).toEqual([0])
    one[Symbol.dispose]()
    const other = bus.inbox('tasks.*', { group: 'g' })
    expect(await taken(other, 3)).toEqual([1, 2, 3])
    await bus.close()
  })
})
