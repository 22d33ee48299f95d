import { crc32 } from 'node:zlib'
import { expect, test } from 'vitest'
import type { BusError, Chunk } from '../../src/index.ts'
import { faultIn, faultOf, gate, isSettled, range, rig } from './support/woodwork.ts'

const MIB = 1_048_576

async function all<T>(chunks: AsyncIterable<Chunk<T>>): Promise<Chunk<T>[]> {
  const list: Chunk<T>[] = []
  for await (const chunk of chunks) list.push(chunk)
  return list
}

test('[W31] requestStream gives chunks with index, data and metadata as they are produced', async () => {
  await using r = rig({ handlerTimeoutMs: 120_000 })
  const { bus, env } = r
  const more = gate()
  const produced: number[] = []
  bus.subscribe('tool', async function* () {
    for (const n of range(4)) {
      if (n === 2) await more.opened
      produced.push(n)
      yield { n }
    }
  })
  const chunks = bus.requestStream<{ n: number }>('tool', 'go').chunks()
  const first = await chunks.next()
  const second = await chunks.next()
  expect(produced).toEqual([0, 1])
  expect([first.value, second.value]).toMatchObject([
    { index: 0, data: { n: 0 }, final: false, metadata: {} },
    { index: 1, data: { n: 1 }, final: false, metadata: {} },
  ])
  const third = chunks.next()
  expect(await isSettled(third, env)).toBe(false)
  more.open()
  expect((await third).value).toMatchObject({ index: 2, data: { n: 2 } })
  expect((await chunks.next()).value).toMatchObject({ index: 3, data: { n: 3 } })
  expect(env.monotonicMs()).toBe(0)
  // A handler that does not stream gives one final chunk.
  bus.subscribe('plain', () => 'whole')
  expect(await all(bus.requestStream('plain', 'go').chunks())).toMatchObject([{ index: 0, data: 'whole', final: true }])
})

test('[W31] a producer that is silent for 30 s ends the requested stream with an error', async () => {
  await using r = rig({ handlerTimeoutMs: 120_000 })
  const { bus, env } = r
  let signal: AbortSignal | undefined
  bus.subscribe('tool', async function* (_, context) {
    signal = context.signal
    yield 1
    await new Promise(() => undefined)
  })
  const chunks = bus.requestStream('tool', 'go').chunks()
  await chunks.next()
  const next = chunks.next()
  await env.advance(29_900)
  expect(await isSettled(next, env)).toBe(false)
  await env.advance(200)
  expect((await next).value).toMatchObject({ final: true, metadata: { error: { code: 'STREAM_TIMEOUT' } } })
  expect(signal?.aborted).toBe(true)
})

test('[W31] the end of a requested stream is a final chunk, and an error is a final chunk with metadata.error', async () => {
  await using r = rig()
  const { bus } = r
  bus.subscribe('good', async function* () {
    yield 1
    yield 2
  })
  bus.subscribe('bad', async function* () {
    yield 1
    yield 2
    throw new Error('the tool broke')
  })
  const seen: Chunk[] = []
  const read = async (topic: string): Promise<unknown> => {
    seen.length = 0
    try {
      for await (const chunk of bus.requestStream(topic, 'go').chunks()) seen.push(chunk)
    } catch (error) {
      return error
    }
    return undefined
  }
  await read('good')
  expect(seen.map(({ data }) => data).slice(0, 2)).toEqual([1, 2])
  expect(seen.map(({ final }) => final)).toEqual([...range(seen.length - 1).map(() => false), true])
  const parts: unknown[] = []
  const thrown = await (async () => {
    for await (const part of bus.requestStream('bad', 'go')) parts.push(part)
  })().catch((error: unknown) => error)
  // Whoever reads only the data hears of it as an error, after everything that came before.
  expect(parts).toEqual([1, 2])
  expect(thrown).toMatchObject({ code: 'HANDLER_FAILED' })
  await read('bad')
  expect(seen.at(-1)).toMatchObject({ final: true, metadata: { error: expect.anything() } })
  expect(String((seen.at(-1)?.metadata.error as Error | string | undefined) ?? '')).toContain('the tool broke')
})

test('[W55] a stream is made with session, source, target, type and id, written, read, listed and counted', async () => {
  await using r = rig()
  const { bus } = r
  const types = ['text', 'audio', 'image', 'binary', 'json'] as const
  const data = ['words', new Uint8Array([1]), new Uint8Array([2]), new Uint8Array([3]), { four: 4 }]
  for (const [n, type] of types.entries()) {
    const writer = bus.streams.open({ id: `stream-${type}`, session: 's', source: 'a', target: 'b', type })
    expect(writer.id).toBe(`stream-${type}`)
    await writer.write(data[n])
    const reader = bus.streams.read(writer.id)
    expect((await reader.next()).value).toMatchObject({ index: 0, data: data[n], streamId: writer.id })
    expect(bus.streams.info(writer.id)).toMatchObject({
      id: writer.id,
      session: 's',
      source: 'a',
      target: 'b',
      type,
      status: 'active',
      chunks: 1,
    })
    expect(bus.streams.list()).toHaveLength(n + 1)
    expect(bus.stats().streams).toMatchObject({ active: n + 1, opened: n + 1 })
    await reader.return?.()
  }
  expect(bus.streams.open().id).not.toBe(bus.streams.open().id)
  expect(bus.streams.info('unknown')).toBeUndefined()
  expect(faultIn(() => bus.streams.open({ id: 'stream-text' })).code).toBe('INVALID_OPTION')
})

test('[W56] a chunk carries its stream, index, data, size, checksum, metadata and time; checksum and gaps are verified', async () => {
  await using r = rig()
  const { bus, env } = r
  const writer = bus.streams.open({ id: 'w', type: 'text' })
  await env.advance(5)
  await writer.write('hello', { metadata: { lang: 'en' }, checksum: '3610a686', index: 0 })
  const bytes = new Uint8Array([1, 2, 3, 4])
  await writer.write(bytes, { checksum: crc32(bytes).toString(16).padStart(8, '0') })
  const gap = await faultOf(writer.write('x', { index: 4 }))
  expect([gap.code, gap.details.expected, gap.details.found]).toEqual(['STREAM_GAP', 2, 4])
  expect((await faultOf(writer.write('x', { index: 1 }))).code).toBe('STREAM_GAP')
  expect((await faultOf(writer.write('x', { checksum: '00000000' }))).code).toBe('STREAM_CHECKSUM')
  expect(writer.info()).toMatchObject({ chunks: 2, bytes: 9, status: 'active' })
  await writer.write('end', { final: true })
  const chunks = await all(bus.streams.read('w'))
  expect(chunks.map(({ index }) => index)).toEqual([0, 1, 2])
  expect(chunks[0]).toEqual({
    streamId: 'w',
    index: 0,
    data: 'hello',
    final: false,
    size: 5,
    checksum: '3610a686',
    metadata: { lang: 'en' },
    time: env.wallMs(),
  })
  expect(chunks[1]).toMatchObject({ size: 4, data: bytes, metadata: {} })
  expect(chunks[2]?.final).toBe(true)
  expect(bus.streams.info('w')).toMatchObject({ status: 'completed', chunks: 3, bytes: 12, type: 'text' })
  const failing = bus.streams.open({ id: 'f' })
  failing.fail(new Error('producer died'))
  bus.streams.open({ id: 'c' })
  expect(bus.streams.cancel('c')).toBe(true)
  expect([bus.streams.info('f')?.status, bus.streams.info('c')?.status]).toEqual(['failed', 'cancelled'])
  await expect(all(bus.streams.read('f'))).rejects.toThrow('producer died')
  expect((await faultOf(failing.write(1))).code).toBe('STREAM_CLOSED')
})

test('[W57] [WN20] chunk 1,001 of a full stream waits for the reader or is refused, and all arrive in index order', async () => {
  await using r = rig()
  const { bus, env } = r
  const waiting = bus.streams.open({ id: 'waits' })
  for (const n of range(1_000)) await waiting.write(n)
  const late = waiting.write(1_000)
  expect(await isSettled(late, env)).toBe(false)
  const refusing = bus.streams.open({ id: 'refuses', overflow: 'refuse' })
  for (const n of range(1_000)) await refusing.write(n)
  const fault = await faultOf(refusing.write(1_000))
  expect([fault.code, fault.details.limit]).toEqual(['STREAM_FULL', 1_000])
  const reader = bus.streams.read<number>('waits')
  expect((await reader.next()).value).toMatchObject({ index: 0 })
  await late
  const last = waiting.write(1_001, { final: true })
  const read = async (): Promise<number[]> => {
    const rest: number[] = []
    for (let one = await reader.next(); one.done !== true; one = await reader.next()) rest.push(one.value.index)
    return rest
  }
  expect(await read()).toEqual(range(1_001).map((n) => n + 1))
  await last
})

test('[W57] at most 100 streams are active and all together hold 100 MiB', async () => {
  await using r = rig()
  const { bus, env } = r
  const writers = range(100).map(() => bus.streams.open())
  const fault = faultIn(() => bus.streams.open())
  expect([fault.code, fault.details.allowed]).toEqual(['STREAM_FULL', 100])
  writers[99]?.complete()
  const refusing = bus.streams.open({ overflow: 'refuse' })
  const piece = new Uint8Array(MIB)
  for (const n of range(100)) await writers[n % 50]?.write(piece)
  expect(bus.stats().streams.bytes).toBe(100 * MIB)
  const held = writers[0]!.write(piece)
  expect(await isSettled(held, env)).toBe(false)
  expect((await faultOf(refusing.write(piece))).code).toBe('STREAM_FULL')
  const reader = bus.streams.read(writers[0]!.id)
  await reader.next()
  await reader.next()
  expect(await isSettled(held, env)).toBe(true)
  await held
})

test('[W58] 30 s without a chunk end a stream with a timeout error that reader and producer hear', async () => {
  await using r = rig()
  const { bus, env } = r
  const reasons: unknown[] = []
  const writer = bus.streams.open({ id: 'quiet', onCancel: (reason) => reasons.push(reason) })
  await writer.write(1)
  await env.advance(29_900)
  expect(writer.info().status).toBe('active')
  await writer.write(2)
  const reader = bus.streams.read('quiet')
  await reader.next()
  await reader.next()
  const next = faultOf(reader.next())
  await env.advance(29_900)
  expect(writer.info().status).toBe('active')
  await env.advance(200)
  expect(writer.info().status).toBe('failed')
  expect((await next).code).toBe('STREAM_TIMEOUT')
  expect(reasons).toMatchObject([{ code: 'STREAM_TIMEOUT' }])
  expect((await faultOf(writer.write(3))).code).toBe('STREAM_CLOSED')
})

test('[W58] a producer that waits 5 min for a reader fails', async () => {
  await using r = rig()
  const { bus, env } = r
  const writer = bus.streams.open({ limit: 2 })
  await writer.write(0)
  await writer.write(1)
  const third = faultOf(writer.write(2))
  await env.advance(299_000)
  expect(writer.info().status).toBe('active')
  await env.advance(1_200)
  expect(writer.info().status).toBe('failed')
  const fault = await third
  expect(fault.code).toBe('STREAM_CLOSED')
  expect((fault.cause as BusError).code).toBe('STREAM_TIMEOUT')
})

test('[W58] [WN20] a final chunk that was read leaves nothing behind: neither an active stream nor its bytes', async () => {
  await using r = rig()
  const { bus, env } = r
  const piece = new Uint8Array(MIB)
  const first = bus.streams.open({ id: 'first' })
  const reading = all(bus.streams.read('first'))
  for (const n of range(60)) await first.write(piece, { final: n === 59 })
  expect(await reading).toHaveLength(60)
  expect(bus.streams.list()).toEqual([])
  expect(bus.streams.info('first')?.status).toBe('completed')
  expect(bus.stats().streams.active).toBe(0)
  const second = bus.streams.open({ id: 'second' })
  const writing = (async () => {
    for (const n of range(60)) await second.write(piece, { final: n === 59 })
  })()
  expect(await isSettled(writing, env), 'a stream that is over takes no room from the next one').toBe(true)
  await all(bus.streams.read('second'))
  await env.advance(600_000)
  expect(bus.stats().streams.bytes).toBe(0)
})

test('[W58] cancelling reaches the producer, also in the middle of a write', async () => {
  await using r = rig()
  const { bus, env } = r
  const reasons: unknown[] = []
  const writer = bus.streams.open({ limit: 1, onCancel: (reason) => reasons.push(reason) })
  await writer.write(0)
  const blocked = faultOf(writer.write(1))
  const reader = bus.streams.read(writer.id)
  bus.streams.cancel(writer.id, 'enough')
  expect((await blocked).code).toBe('STREAM_CLOSED')
  expect(reasons).toEqual(['enough'])
  await reader.next()
  expect((await faultOf(reader.next())).code).toBe('STREAM_CLOSED')
  expect(bus.streams.cancel(writer.id)).toBe(false)

  let stopped = false
  bus.subscribe('tool', async function* () {
    try {
      for (let n = 0; ; n++) yield n
    } finally {
      stopped = true
    }
  })
  for await (const part of bus.requestStream('tool', 'go')) if (part === 3) break
  await env.settle()
  expect(stopped).toBe(true)
  expect(bus.stats()).toMatchObject({ requests: { pending: 0 }, ledger: { pending: 0 } })
})

test('[W58] [WN20] several readers each get everything, and binary data stays one chunk of its own size', async () => {
  await using r = rig()
  const { bus } = r
  const writer = bus.streams.open({ id: 'many', limit: 4 })
  const readers = range(3).map(() => all(bus.streams.read<Uint8Array>('many')))
  const sent = range(20).map((n) => new Uint8Array([n, n + 1, n + 2]))
  for (const [n, bytes] of sent.entries()) await writer.write(bytes, { final: n === 19 })
  for (const chunks of await Promise.all(readers)) {
    expect(chunks.map(({ data }) => [...data])).toEqual(sent.map((bytes) => [...bytes]))
    expect(chunks.map(({ index, size }) => [index, size])).toEqual(range(20).map((n) => [n, 3]))
  }
  expect(writer.info()).toMatchObject({ chunks: 20, bytes: 60, status: 'completed' })
})
