import { expect, test } from 'vitest'
import type { Bus, Chunk } from '../../src/index.ts'
import { framesOf, swarm, thrown } from './swarm.ts'

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, at) => from + at)

test('a streamed answer comes in order to every observer, and leaves nothing behind', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  b.subscribe('count', async function* ({ data }) {
    for (let number = 0; number < (data as number); number++) yield { number, at: new Date(number) }
  })
  await all.env.settle()
  const stream = a.requestStream<{ number: number; at: Date }>('count', 300)
  const read = async (): Promise<number[]> => {
    const got: number[] = []
    for await (const { number, at } of stream) if (at.getTime() === number) got.push(number)
    return got
  }
  expect(await Promise.all([read(), read()])).toEqual([numbers(0, 299), numbers(0, 299)])
  for (const bus of [a, b]) {
    const { wire, requests, streams } = bus.stats()
    expect([wire?.asks, requests.pending, streams.active, streams.bytes]).toEqual([0, 0, 0, 0])
  }
})

test('a hundred finished streams leave neither requests nor chunks nor timers', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  b.subscribe('count', async function* () {
    yield* ['a', 'b', 'c']
  })
  await all.env.settle()
  const timers = all.env.timers
  for (let at = 0; at < 100; at++) {
    const got: unknown[] = []
    for await (const part of a.requestStream('count', at)) got.push(part)
    expect(got).toEqual(['a', 'b', 'c'])
  }
  await all.env.advance(200)
  expect(all.env.timers).toBeLessThanOrEqual(timers)
  expect([b.stats().wire?.asks, a.stats().requests.pending, a.stats().streams.bytes]).toEqual([0, 0, 0])
})

test('100 chunks, an observer joins at 50 from offset 20: gets 20 to 99 once, ascending; two observers in two processes', async () => {
  await using all = await swarm(3)
  const [a, b, c] = all.buses as [Bus, Bus, Bus]
  const writer = a.streams.open({ id: 'story', limit: 200 })
  const read = async (bus: Bus): Promise<Chunk[]> => {
    const got: Chunk[] = []
    for await (const chunk of bus.streams.read('story', 20)) got.push(chunk)
    return got
  }
  const early = read(c)
  for (let at = 0; at < 50; at++) await writer.write(`part ${at}`, { metadata: { at } })
  await all.env.settle()
  const late = [read(b), read(a)]
  await all.env.settle()
  for (let at = 50; at < 100; at++) await writer.write(`part ${at}`, { metadata: { at } })
  writer.complete()
  await all.env.settle()
  for (const chunks of await Promise.all([early, ...late])) {
    expect(chunks.map(({ index }) => index)).toEqual(numbers(20, 99))
    expect(chunks.map(({ data }) => data)).toEqual(numbers(20, 99).map((at) => `part ${at}`))
    expect(chunks[0]).toMatchObject({ streamId: 'story', metadata: { at: 20 }, checksum: expect.any(String) })
  }
  expect([a.stats().wire?.asks, b.stats().requests.pending, c.stats().requests.pending]).toEqual([0, 0, 0])
})

test('a stream that no process knows, one that failed, and a chunk that is held no more end with their error', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  const first = (id: string, from?: number): Promise<unknown> => thrown(b.streams.read(id, from).next())
  expect(await first('none')).toMatchObject({ code: 'STREAM_CLOSED' })
  const failing = a.streams.open({ id: 'failing' })
  const failed = first('failing')
  await all.env.settle()
  failing.fail(new Error('the model went away'))
  expect(await failed).toMatchObject({ message: expect.stringContaining('the model went away') })
  const short = a.streams.open({ id: 'short', limit: 2 })
  const reader = a.streams.read('short')
  for (let at = 0; at < 5; at++) {
    await short.write(at)
    await reader.next()
  }
  expect(await first('short', 0)).toMatchObject({ code: 'STREAM_GAP', details: { wanted: 0 } })
})

test('a slow reader holds the producer back: no more is under way than a window and the room of the stream', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  let produced = 0
  let returned = false
  b.subscribe('endless', async function* () {
    try {
      for (;;) yield produced++
    } finally {
      returned = true
    }
  })
  await all.env.settle()
  const stream = a.requestStream<number>('endless', 1)
  const reader = stream[Symbol.asyncIterator]()
  expect((await reader.next()).value).toBe(0)
  await all.env.settle()
  // 1 000 parts are held for observers who come late, and 64 may be under way.
  expect(produced).toBeLessThanOrEqual(1_000 + 64 + 2)
  const before = produced
  for (let at = 1; at <= 200; at++) expect((await reader.next()).value).toBe(at)
  await all.env.settle()
  expect(produced).toBeGreaterThan(before)
  await reader.return?.()
  await all.env.settle()
  expect([returned, b.stats().wire?.asks]).toEqual([true, 0])
})

test('what a handler yields before it fails is read before the error', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  b.subscribe('half', async function* () {
    yield 1
    yield 2
    throw new Error('half way')
  })
  await all.env.settle()
  const got: unknown[] = []
  const error = await thrown(
    (async () => {
      for await (const part of a.requestStream('half', 1)) got.push(part)
    })(),
  )
  expect(got).toEqual([1, 2])
  expect(error).toMatchObject({ code: 'HANDLER_FAILED', message: expect.stringContaining('half way') })
})

test('a plain answer is a stream of one part, and a stream meets a request as a list', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  b.subscribe('one', () => 'only')
  b.subscribe('many', async function* () {
    yield* [1, undefined, 3]
  })
  await all.env.settle()
  const got: unknown[] = []
  for await (const part of a.requestStream('one', 1)) got.push(part)
  expect(got).toEqual(['only'])
  expect((await a.request('many', 1)).data).toEqual([1, undefined, 3])
  const answers: unknown[] = []
  for await (const { data } of a.requestMany('many', 1, { count: 3 })) answers.push(data)
  expect(answers).toEqual([1, undefined, 3])
})

test('a part that is lost on its way ends the stream with STREAM_GAP, and the producer', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  let returned = false
  b.subscribe('count', async function* () {
    try {
      for (let at = 0; ; at++) yield at
    } finally {
      returned = true
    }
  })
  await all.env.settle()
  const wire = all.wires[1]!
  wire.lose = (bytes) => new TextDecoder().decode(bytes).includes('"n":7,')
  const got: unknown[] = []
  const error = await thrown(
    (async () => {
      for await (const part of a.requestStream('count', 1)) got.push(part)
    })(),
  )
  await all.env.settle()
  expect(got).toEqual(numbers(0, 6))
  expect(error).toMatchObject({ code: 'STREAM_GAP', details: { expected: 7, found: 8 } })
  expect([returned, b.stats().wire?.asks, framesOf(all.wires[0]!, 'cancel').length]).toEqual([true, 0, 1])
})
