import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { expect, onTestFinished, test } from 'vitest'
import { type Bus, BusError } from '../../src/index.ts'
import { framesOf, swarm, thrown } from './swarm.ts'

const never = (): Promise<never> => new Promise(() => undefined)

test('[V59] a process that is lost: its open requests and streams end with PROCESS_LOST when it is missed', async () => {
  await using all = await swarm(2, { requestTimeoutMs: 60_000 })
  const [a, b] = all.buses as [Bus, Bus]
  b.subscribe('slow', never)
  b.subscribe('parts', async function* () {
    yield 1
    await never()
  })
  const reader = b.register('reader')
  await all.env.settle()
  const slow = thrown(a.request('slow', 1))
  const got: unknown[] = []
  const parts = thrown(
    (async () => {
      for await (const part of a.requestStream('parts', 1, { stallMs: 120_000 })) got.push(part)
    })(),
  )
  // Taken by hand, and to be answered later: that will not happen either.
  const taken = thrown(a.request('agent.reader', 1))
  const receipt = a.send('reader', 1, { until: 'handled' })
  await all.env.settle()
  await reader.receive({ timeoutMs: 0 })
  // Among few a process says each second or so that it lives, and that it will.
  await all.env.advance(3_000)
  all.wires[1]!.cut()
  await all.env.advance(2_000)
  expect(a.processes()).toHaveLength(1)
  await all.env.advance(4_000)
  expect(a.processes()).toEqual([])
  for (const end of [slow, parts, taken]) {
    expect(await end).toMatchObject({ code: 'PROCESS_LOST', details: { name: 'p1', why: 'silent' } })
  }
  expect(got).toEqual([1])
  expect((await receipt).deliveries).toMatchObject([{ name: 'p1', outcome: 'failed', error: { code: 'PROCESS_LOST' } }])
  expect(await thrown(a.request('slow', 1))).toMatchObject({ code: 'NO_RESPONDERS' })
  expect(await thrown(a.send('reader', 1))).toMatchObject({ code: 'UNKNOWN_AGENT' })
})

test('[V59] a process that dies before its first beat is missed as soon as any other', async () => {
  await using all = await swarm(1, { requestTimeoutMs: 60_000 })
  const [a] = all.buses as [Bus]
  const joining = all.join({ name: 'p1' })
  // What it says of itself at first is all that is heard of it.
  all.wires[1]!.lose = (bytes) => new TextDecoder().decode(bytes).includes('"t":"beat"')
  const b = await joining
  b.subscribe('slow', never)
  await all.env.settle()
  const slow = thrown(a.request('slow', 1))
  await all.env.settle()
  all.wires[1]!.cut()
  await all.env.advance(6_000)
  expect(await slow).toMatchObject({ code: 'PROCESS_LOST', details: { name: 'p1', why: 'silent' } })
})

test('many processes that come at the same moment, and beat more and more seldom, never take each other for dead', async () => {
  await using all = await swarm(20)
  const left: unknown[] = []
  const note = (fields: unknown): void => void left.push(fields)
  subscribe('swarmbus.process.left', note)
  onTestFinished(() => void unsubscribe('swarmbus.process.left', note))
  await all.env.advance(60_000)
  expect(left).toEqual([])
  expect(all.buses.map((bus) => bus.processes().length)).toEqual(all.buses.map(() => 19))
})

test('[V59] with another responder at work, a request goes on when one process is lost', async () => {
  await using all = await swarm(3, { requestTimeoutMs: 60_000 })
  const [a, b, c] = all.buses as [Bus, Bus, Bus]
  b.subscribe('slow', never)
  c.subscribe('slow', async () => {
    await new Promise<void>((resolve) => void all.env.after(25_000, resolve))
    return 'c'
  })
  await all.env.settle()
  const answer = a.request('slow', 1)
  await all.env.settle()
  all.wires[1]!.cut()
  await all.env.advance(26_000)
  expect((await answer).data).toBe('c')
})

test('a process that was thought lost comes back with everything it wants', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  b.subscribe('sum', () => 7)
  await all.env.settle()
  all.wires[1]!.cut()
  await all.env.advance(21_000)
  expect([a.processes(), b.processes()]).toEqual([[], []])
  all.wires[1]!.mend()
  await all.env.advance(6_000)
  expect([a.processes().length, b.processes().length]).toEqual([1, 1])
  expect((await a.request('sum', 1)).data).toBe(7)
})

test('announcements that are lost are asked for again by the next beat', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  const wire = all.wires[1]!
  wire.lose = () => true
  b.subscribe('first', () => 1)
  await all.env.settle()
  wire.lose = () => false
  b.subscribe('second', () => 2)
  await all.env.settle()
  expect((await a.request('second', 1)).data).toBe(2)
  expect((await a.request('first', 1)).data).toBe(1)
  wire.lose = () => true
  b.subscribe('third', () => 3)
  await all.env.settle()
  wire.lose = () => false
  expect(await thrown(a.request('third', 1))).toMatchObject({ code: 'NO_RESPONDERS' })
  await all.env.advance(5_100)
  expect((await a.request('third', 1)).data).toBe(3)
})

test('a connection that is lost ends what is under way as unknown, refuses what is new at once, and health says so', async () => {
  await using all = await swarm(2, { requestTimeoutMs: 60_000 })
  const [a, b] = all.buses as [Bus, Bus]
  let aborted: unknown
  b.subscribe('slow', (_message, { signal }) => {
    signal.addEventListener('abort', () => {
      aborted = signal.reason
    })
    return never()
  })
  await all.env.settle()
  const open = thrown(a.request('slow', 1))
  await all.env.settle()
  all.wires[0]!.cut()
  all.wires[0]!.watch.tell({ type: 'lost', why: 'ECONNRESET' })
  expect(await open).toMatchObject({ code: 'BROKER_TIMEOUT' })
  expect(await thrown(a.request('slow', 1))).toMatchObject({ code: 'BROKER_UNREACHABLE' })
  expect(a.health()).toMatchObject({ status: 'degraded', reasons: [expect.stringContaining('not connected')] })
  await all.env.advance(1_000)
  all.wires[0]!.mend()
  all.wires[0]!.watch.tell({ type: 'restored', downMs: 1_000, tries: 1 })
  await all.env.settle()
  // The other process learns that whoever asked waits no more.
  expect(aborted).toMatchObject({ code: 'CANCELLED' })
  expect(b.stats().wire?.asks).toBe(0)
  expect(a.health().status).toBe('healthy')
  const again = thrown(a.request('slow', 1, { timeoutMs: 100 }))
  await all.env.settle()
  expect(b.stats().wire?.asks).toBe(1)
  await all.env.advance(200)
  expect(await again).toMatchObject({ code: 'REQUEST_TIMEOUT' })
})

test('a process whose connection was lost for a moment: what it had in hand ends at once for those who asked', async () => {
  await using all = await swarm(2, { requestTimeoutMs: 60_000 })
  const [a, b] = all.buses as [Bus, Bus]
  b.subscribe('slow', never)
  await all.env.settle()
  const open = thrown(a.request('slow', 1))
  await all.env.settle()
  all.wires[1]!.watch.tell({ type: 'lost', why: 'ECONNRESET' })
  all.wires[1]!.watch.tell({ type: 'restored', downMs: 5, tries: 1 })
  await all.env.settle()
  expect(await open).toMatchObject({ code: 'PROCESS_LOST', details: { why: 'broken' } })
})

test('a bus that closes says goodbye: others learn at once, and what it had in hand is answered with BUS_CLOSED', async () => {
  await using all = await swarm(2, { requestTimeoutMs: 60_000 })
  const [a, b] = all.buses as [Bus, Bus]
  b.subscribe('slow', never)
  b.register('reader')
  const writer = b.streams.open({ id: 'story' })
  await writer.write('once')
  await all.env.settle()
  const open = thrown(a.request('slow', 1))
  const unread = thrown(a.request('agent.reader', 1))
  const reading = a.streams.read('story')
  expect((await reading.next()).value).toMatchObject({ data: 'once' })
  const rest = thrown(reading.next())
  await all.env.settle()
  const closing = b.close({ limitMs: 100 })
  await all.env.advance(200)
  await closing
  expect([await open, await unread, await rest]).toMatchObject([
    { code: 'BUS_CLOSED' },
    { code: 'BUS_CLOSED' },
    { code: 'BUS_CLOSED' },
  ])
  expect(a.processes()).toEqual([])
  // The wire was handed over: it is left, not closed.
  all.wires[1]!.publish('still.open', Uint8Array.of(1))
  await all.env.settle()
})

test('a bus that is stopped gets nothing until it starts again', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  const seen: unknown[] = []
  b.subscribe('t', ({ data }) => void seen.push(data))
  await all.env.settle()
  await b.stop()
  await all.env.settle()
  expect((await a.publish('t', 1)).recipients).toBe(0)
  expect(await thrown(a.request('t', 1))).toMatchObject({ code: 'NO_RESPONDERS' })
  b.start()
  await all.env.settle()
  expect((await a.publish('t', 2)).recipients).toBe(1)
  await all.env.settle()
  expect(seen).toEqual([2])
})

test('work that is under way during a drain may still ask other processes', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  a.subscribe('helper', async () => {
    await new Promise<void>((resolve) => void all.env.after(50, resolve))
    return 'help'
  })
  b.subscribe('work', async (_message, { bus }) => {
    await new Promise<void>((resolve) => void all.env.after(50, resolve))
    return (await bus.request('helper', 1)).data
  })
  await all.env.settle()
  const asked = a.request('work', 1)
  await all.env.settle()
  const closing = b.close()
  await all.env.advance(300)
  expect((await asked).data).toBe('help')
  expect(await closing).toMatchObject({ abandoned: 0 })
})

test('a full queue elsewhere: the requester is refused, a publisher is not held up', async () => {
  await using all = await swarm(2, { limit: 2, overflow: 'refuse' })
  const [a, b] = all.buses as [Bus, Bus]
  b.register('busy', { concurrency: 1, handler: never })
  await all.env.settle()
  for (let at = 0; at < 10; at++) await a.send('busy', at)
  await all.env.settle()
  expect(b.queueSize('busy')).toBe(2)
  expect(await thrown(a.request('agent.busy', 1))).toMatchObject({ code: 'QUEUE_FULL' })
  expect(b.stats().refused).toBeGreaterThanOrEqual(8)
})

test('a crash in a loop leaves the others with no trace of the processes that were', async () => {
  await using all = await swarm(1)
  const [a] = all.buses as [Bus]
  a.subscribe('here', () => 1)
  for (let at = 0; at < 20; at++) {
    const bus = await all.join()
    bus.subscribe(`own.${at}.>`, () => 1, { group: 'g' })
    bus.register(`agent${at}`)
    await all.env.settle()
    expect((await a.request(`own.${at}.x`, 1)).data).toBe(1)
    all.wires.at(-1)!.cut()
  }
  await all.env.advance(25_000)
  expect(a.processes()).toEqual([])
  expect(await thrown(a.request('own.1.x', 1))).toMatchObject({ code: 'NO_RESPONDERS' })
  expect(framesOf(all.wires[0]!, 'message')).toHaveLength(20)
})

test('a publisher that waits for others is refused while the connection is lost, and told when it breaks', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  b.subscribe('work', never)
  a.subscribe('work', () => undefined, { name: 'here' })
  await all.env.settle()
  const open = a.publish('work', 1, { until: 'handled' })
  await all.env.settle()
  all.wires[0]!.watch.tell({ type: 'lost', why: 'ECONNRESET' })
  expect((await open).deliveries).toMatchObject([
    { name: 'here', outcome: 'handled' },
    { name: 'p1', outcome: 'failed', error: { code: 'BROKER_TIMEOUT' } },
  ])
  const { deliveries } = await a.publish('work', 2, { until: 'handled' })
  expect(deliveries?.map(({ outcome }) => outcome).toSorted()).toEqual(['handled', 'refused'])
})

test('a wire without room refuses whoever publishes, and a request at once', async () => {
  await using all = await swarm(3)
  const [a, b, c] = all.buses as [Bus, Bus, Bus]
  b.subscribe('t', () => 'b')
  c.subscribe('t', () => 'c')
  await all.env.settle()
  const { publish } = all.wires[0]!
  let room = 0
  all.wires[0]!.publish = (topic, bytes) => {
    if (room-- <= 0) throw new BusError('QUEUE_FULL', 'no room')
    publish(topic, bytes)
  }
  expect(await thrown(a.publish('t', 1))).toMatchObject({ code: 'QUEUE_FULL' })
  expect(await thrown(a.request('t', 1))).toMatchObject({ code: 'QUEUE_FULL' })
  expect(a.stats().wire?.framesDropped).toBe(2)
  room = 1
  const ack = await a.publish('t', 1)
  expect([ack.recipients, ack.refused.length]).toEqual([1, 1])
  room = 1
  // One of two processes was asked: its answer counts.
  expect(['b', 'c']).toContain((await a.request('t', 1)).data)
})
