import { describe, expect, test } from 'vitest'
import type { Message } from '../../src/index.ts'
import { zejzlKeptReceiveCases } from './cases/zejzl-kept-receive.ts'
import { BACKENDS, child, file, keptRig, ledgerOf } from './support/kept.ts'

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

zejzlKeptReceiveCases(BACKENDS)

describe.each(BACKENDS)('on $name', ({ make }) => {
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
})

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
