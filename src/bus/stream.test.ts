import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Clock } from '../kit/clock.ts'
import { TimerWheel } from '../kit/timer-wheel.ts'
import { type FakeEnv, fakeEnv } from '../testing/fake-env.ts'
import { checksumOf, StreamBuffer, StreamRoom, type StreamSetup } from './stream.ts'

function setup(more: Partial<StreamSetup> = {}): {
  env: FakeEnv
  room: StreamRoom
  stream: StreamBuffer
  cancels: unknown[]
  ends: number
} {
  const env = fakeEnv()
  const room = more.room ?? new StreamRoom(1_000_000)
  const state = { env, room, cancels: [] as unknown[], ends: 0 }
  const stream = new StreamBuffer({
    id: 's',
    clock: new Clock(env),
    wheel: new TimerWheel(env),
    limit: 4,
    stallMs: 30_000,
    idleMs: 300_000,
    overflow: 'wait',
    keeps: false,
    onCancel: (reason) => void state.cancels.push(reason),
    onEnd: () => void state.ends++,
    ...more,
    room,
  })
  return Object.assign(state, { stream })
}

async function all(stream: StreamBuffer, from?: number): Promise<unknown[]> {
  const read: unknown[] = []
  for await (const chunk of stream.read(from)) read.push(chunk.data)
  return read
}

test('[W57] [W58] several readers at any pace get every chunk once, in order, and the producer waits for the slowest', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(40),
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.nat(4), { minLength: 1, maxLength: 4 }),
      async (count, limit, paces) => {
        const { stream } = setup({ limit })
        const readers = paces.map(async (pace) => {
          const read: unknown[] = []
          for await (const { data, index } of stream.read()) {
            expect(index).toBe(read.length)
            read.push(data)
            for (let turn = 0; turn < pace; turn++) await Promise.resolve()
          }
          return read
        })
        await Promise.resolve()
        for (let number = 0; number < count; number++) {
          await stream.write(number)
          expect(stream.held).toBeLessThanOrEqual(limit)
        }
        stream.complete()
        for (const read of await Promise.all(readers))
          expect(read).toEqual(Array.from({ length: count }, (_, index) => index))
      },
    ),
    { numRuns: 100 },
  )
})

test('[W56] a chunk has stream, index, size, checksum, metadata, time, and says whether it is the last', async () => {
  const { stream, env } = setup()
  await stream.write('héllo', { metadata: { a: 1 } })
  await stream.write(Uint8Array.of(1, 2, 3))
  await stream.write({ n: 1 }, { final: true })
  const chunks = []
  for await (const chunk of stream.read()) chunks.push(chunk)
  expect(chunks[0]).toEqual({
    streamId: 's',
    index: 0,
    data: 'héllo',
    final: false,
    size: 5,
    checksum: crc32('héllo').toString(16).padStart(8, '0'),
    metadata: { a: 1 },
    time: env.wallMs(),
  })
  expect([chunks[1]?.index, chunks[1]?.checksum, chunks[2]?.checksum, chunks[2]?.final]).toEqual([
    1,
    checksumOf(Buffer.from([1, 2, 3])),
    undefined,
    true,
  ])
  expect(chunks.every((chunk) => Object.isFrozen(chunk))).toBe(true)
  expect([stream.status, stream.totalChunks]).toEqual(['completed', 3])
})

test('[W56] [WN20] a wrong index or checksum is refused, names both, and changes nothing', async () => {
  const { stream } = setup()
  await stream.write('a', { index: 0 })
  await expect(stream.write('b', { index: 2 })).rejects.toMatchObject({
    code: 'STREAM_GAP',
    details: { expected: 1, found: 2 },
  })
  await expect(stream.write('b', { index: 0 })).rejects.toMatchObject({ code: 'STREAM_GAP' })
  await expect(stream.write('b', { checksum: '00000000' })).rejects.toMatchObject({
    code: 'STREAM_CHECKSUM',
    details: { expected: '00000000', found: checksumOf('b') },
  })
  expect(stream.totalChunks).toBe(1)
  await stream.write('b', { index: 1, checksum: checksumOf('b')!, final: true })
  expect(await all(stream)).toEqual(['a', 'b'])
})

test('[WN20] binary data arrives as it was, once', async () => {
  const { stream } = setup()
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
  await stream.write(bytes, { final: true })
  expect(await all(stream)).toEqual([bytes])
  expect(stream.totalBytes).toBeGreaterThanOrEqual(256)
  expect(stream.totalBytes).toBeLessThan(270)
})

test('[W57] a full stream refuses at once with that policy, and takes more after reading', async () => {
  const { stream } = setup({ overflow: 'refuse', limit: 2 })
  const reader = stream.read()
  const first = reader.next()
  await stream.write(0)
  await stream.write(1)
  await first
  await stream.write(2)
  await expect(stream.write(3)).rejects.toMatchObject({ code: 'STREAM_FULL', details: { chunks: 2, limit: 2 } })
  await reader.next()
  await stream.write(3)
  expect(stream.totalChunks).toBe(4)
})

test('without readers nothing is discarded: the producer waits', async () => {
  const { stream, env } = setup({ limit: 2 })
  await stream.write(0)
  await stream.write(1)
  let written = false
  void stream.write(2, { final: true }).then(() => (written = true))
  await env.settle()
  expect([written, stream.held]).toEqual([false, 2])
  expect(await all(stream)).toEqual([0, 1, 2])
  expect(written).toBe(true)
})

test('a reader that comes late gets what is held, or a gap by name, never silently less', async () => {
  const { stream } = setup({ limit: 2 })
  const reader = stream.read()
  for (let number = 0; number < 5; number++) {
    await stream.write(number)
    await reader.next()
  }
  await expect(stream.read().next()).rejects.toMatchObject({ code: 'STREAM_GAP', details: { wanted: 0, first: 3 } })
  expect((await stream.read(3).next()).value).toMatchObject({ index: 3, data: 3 })
})

test('[W58] 30 s without a chunk fail the stream, tell the producer, and readers get the error', async () => {
  const { stream, env, cancels, ends } = setup()
  const reading = all(stream).catch((error: unknown) => error)
  await env.advance(29_000)
  await stream.write('alive')
  await env.advance(29_000)
  expect(stream.status).toBe('active')
  await env.advance(1_100)
  expect(await reading).toMatchObject({ code: 'STREAM_TIMEOUT', details: { stream: 's', limitMs: 30_000 } })
  expect([stream.status, cancels.length, ends]).toEqual(['failed', 1, 0])
  expect(env.timers).toBe(0)
  await expect(stream.write('late')).rejects.toMatchObject({ code: 'STREAM_CLOSED' })
})

test('[W58] a producer that waits is kept for the longer idle time, then the stream fails', async () => {
  const { stream, env } = setup({ limit: 1 })
  await stream.write(0)
  const waiting = stream.write(1).catch((error: unknown) => error)
  await env.advance(299_000)
  expect(stream.status).toBe('active')
  await env.advance(1_100)
  expect([stream.status, ((await waiting) as { code: string }).code]).toEqual(['failed', 'STREAM_CLOSED'])
})

test('[W58] cancelling reaches the producer once, waiting writers and all readers', async () => {
  const { stream, cancels, env } = setup({ limit: 1 })
  await stream.write(0)
  const waiting = stream.write(1).catch((error: unknown) => error)
  await env.settle()
  stream.cancel('enough')
  stream.cancel('again')
  expect(cancels).toEqual(['enough'])
  expect(await waiting).toMatchObject({ code: 'STREAM_CLOSED' })
  await expect(all(stream)).rejects.toMatchObject({ code: 'STREAM_CLOSED', cause: 'enough' })
  await env.advance(100)
  expect([stream.status, env.timers]).toEqual(['cancelled', 0])
})

test('a failure comes after the chunks before it', async () => {
  const { stream } = setup()
  await stream.write('a')
  stream.fail(new Error('broken'))
  const reader = stream.read()
  expect((await reader.next()).value).toMatchObject({ data: 'a' })
  await expect(reader.next()).rejects.toThrow('broken')
})

test('[W57] streams share their room: one waits until another gives back, and the count returns to 0', async () => {
  const room = new StreamRoom(10)
  const [one, two] = [setup({ room }), setup({ room })]
  room.reclaim = () => {
    one.stream.giveWay()
    two.stream.giveWay()
  }
  await one.stream.write('12345678')
  let written = false
  const waiting = two.stream.write('12345678', { final: true }).then(() => (written = true))
  await two.env.settle()
  expect([written, room.bytes]).toEqual([false, 8])
  one.stream.complete()
  expect(await all(one.stream)).toEqual(['12345678'])
  await waiting
  expect(await all(two.stream)).toEqual(['12345678'])
  expect(room.bytes).toBe(0)
})

test('a chunk larger than all the room is taken when nothing else is in it', async () => {
  const { stream, room } = setup({ room: new StreamRoom(4) })
  await stream.write('larger than four', { final: true })
  expect(await all(stream)).toEqual(['larger than four'])
  expect(room.bytes).toBe(0)
})

test('a reader that leaves early lets the producer go on', async () => {
  const { stream } = setup({ limit: 2 })
  const [slow, fast] = [stream.read(), stream.read()]
  const [a, b] = [slow.next(), fast.next()]
  await stream.write(0)
  await Promise.all([a, b])
  await slow.return()
  for (let number = 1; number < 10; number++) {
    await stream.write(number)
    expect((await fast.next()).value).toMatchObject({ data: number })
  }
})

test('writes that are not awaited keep their order', async () => {
  const { stream } = setup({ limit: 2 })
  const reading = all(stream)
  const writes = Array.from({ length: 20 }, (_, number) => stream.write(number))
  await Promise.all(writes)
  stream.complete()
  expect(await reading).toEqual(Array.from({ length: 20 }, (_, number) => number))
})
