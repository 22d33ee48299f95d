import { expect, test } from 'vitest'
import { BusError } from '../kit/errors.ts'
import { type MessageLog, streamOf } from '../log/log.ts'
import { memoryLog } from '../log/memory.ts'
import { fakeEnv } from '../testing/fake-env.ts'
import { idempotent } from './dedup.ts'
import { type IdempotencyStoreOptions, logIdempotency, memoryIdempotency } from './idempotency-store.ts'
import { testContext, testMessage } from './rig.test-d.ts'

const STREAM = streamOf('billing', 'handled')

async function countOf(log: MessageLog): Promise<number> {
  const streams = await log.streams('billing')
  return streams.find(({ stream }) => stream === STREAM)?.count ?? 0
}

/** The same log with some parts replaced. */
function changed(log: MessageLog, parts: Partial<MessageLog>): MessageLog {
  return { ...log, ...parts }
}

test('in memory a key is remembered for the window and forgotten within two', () => {
  const env = fakeEnv()
  const store = memoryIdempotency({ windowMs: 1_000, env })
  void store.remember('a')
  expect([store.seen('a'), store.seen('b')]).toEqual([true, false])
})

test('[I14] in memory a step of the wall clock forgets nothing', async () => {
  const env = fakeEnv()
  const store = memoryIdempotency({ windowMs: 1_000, env })
  await store.remember('a')
  env.setWall(env.wallMs() + 1e9)
  expect(store.seen('a')).toBe(true)
  await env.advance(2_000)
  expect(store.seen('a')).toBe(false)
})

test('[I5] [WN2] keys in a log survive a restart: the effect happens once over two lives', async () => {
  const env = fakeEnv()
  await using log = memoryLog({ env })
  let effects = 0
  const message = testMessage(env)
  for (let life = 0; life < 3; life++) {
    const once = idempotent({ store: logIdempotency(log, 'billing', { env }), scope: 's', env })
    await once(() => ++effects)(message, testContext())
    await once(() => ++effects)(message, testContext())
  }
  expect(effects).toBe(1)
  expect(await countOf(log)).toBe(1)
})

test('[I5] a life that ended between effect and remembering repeats the effect rather than losing it', async () => {
  const env = fakeEnv()
  await using log = memoryLog({ env })
  const message = testMessage(env)
  const dying = changed(log, { append: () => new Promise(() => undefined) })
  let effects = 0
  const first = idempotent({ store: logIdempotency(dying, 'billing', { env }), scope: 's', env })
  void first(() => ++effects)(message, testContext())
  await env.settle()
  const second = idempotent({ store: logIdempotency(log, 'billing', { env }), scope: 's', env })
  await second(() => ++effects)(message, testContext())
  await second(() => ++effects)(message, testContext())
  expect(effects).toBe(2)
})

test('after a restart only keys within the window are known', async () => {
  const env = fakeEnv()
  await using log = memoryLog({ env })
  // Of different windows, so that the old key is still in the stream.
  const store = logIdempotency(log, 'billing', { windowMs: 60_000, env })
  await store.remember('old')
  await env.advance(1_500)
  for (const key of ['young', 'younger']) await store.remember(key)
  const next = logIdempotency(log, 'billing', { windowMs: 1_000, env })
  expect([await next.seen('old'), await next.seen('young')]).toEqual([false, true])
  const small = logIdempotency(log, 'billing', { limit: 1, env })
  expect([await small.seen('young'), await small.seen('younger')]).toEqual([false, true])
  expect(await countOf(log)).toBe(3)
})

test('a log of one process is read once, however many keys are asked for', async () => {
  const env = fakeEnv()
  await using log = memoryLog({ env })
  let reads = 0
  const read: MessageLog['read'] = (stream, options) => {
    reads++
    return log.read(stream, options)
  }
  const store = logIdempotency(changed(log, { read }), 'billing', { env })
  await Promise.all(['a', 'b', 'c'].map(async (key) => expect(await store.seen(key)).toBe(false)))
  expect(reads).toBe(1)
  for (const key of ['a', 'b', 'c', 'd']) {
    expect(await store.seen(key)).toBe(false)
    await store.remember(key)
    expect(await store.seen(key)).toBe(true)
  }
  expect(reads).toBe(1)
})

test('processes that share a log see what the others remembered, reading each entry once', async () => {
  const env = fakeEnv()
  await using log = memoryLog({ env })
  let entries = 0
  const read: MessageLog['read'] = async function* (stream, options) {
    for await (const entry of log.read(stream, options)) {
      entries++
      yield entry
    }
  }
  const shared = changed(log, { read, supports: { ...log.supports, shared: true } })
  const [a, b] = [logIdempotency(shared, 'billing', { env }), logIdempotency(shared, 'billing', { env })]
  expect(await b.seen('k0')).toBe(false)
  for (let n = 0; n < 20; n++) {
    await a.remember(`k${n}`)
    expect(await b.seen(`k${n}`)).toBe(true)
  }
  expect(await b.seen('none')).toBe(false)
  expect(entries).toBe(20)
})

test('those that ask a shared log at the same time share its readings', async () => {
  const env = fakeEnv()
  await using log = memoryLog({ env })
  let reads = 0
  const read: MessageLog['read'] = (stream, options) => {
    reads++
    return log.read(stream, options)
  }
  const supports = { ...log.supports, shared: true }
  const store = logIdempotency(changed(log, { read, supports }), 'billing', { env })
  const first = store.seen('a')
  await logIdempotency(log, 'billing', { env }).remember('b')
  const ends = Array.from({ length: 50 }, async () => store.seen('b'))
  expect(await first).toBe(false)
  expect(new Set(await Promise.all(ends))).toEqual(new Set([true]))
  expect(reads).toBeLessThanOrEqual(2)
})

test('[I9] the stream is bounded: what is beyond window and limit is trimmed', async () => {
  const env = fakeEnv()
  await using log = memoryLog({ env })
  const store = logIdempotency(log, 'billing', { windowMs: 1_000, limit: 10, env })
  for (let n = 0; n < 100; n++) await store.remember(`k${n}`)
  expect(await countOf(log)).toBeLessThanOrEqual(20)
  expect(await store.seen('k99')).toBe(true)
  await env.advance(5_000)
  await store.remember('last')
  expect(await countOf(log)).toBe(1)
})

test('message ids are no keys of the log: remembering one does not make its message a duplicate', async () => {
  const env = fakeEnv()
  await using log = memoryLog({ env })
  const message = testMessage(env)
  const store = logIdempotency(log, 'billing', { env })
  await store.remember(message.id)
  const [appended] = await log.append(streamOf('billing', 'normal'), [{ message }])
  expect(appended?.duplicate).toBe(false)
})

test('when the log cannot keep a key, this process knows it all the same, and says that the log failed', async () => {
  const env = fakeEnv()
  await using log = memoryLog({ env })
  const append: MessageLog['append'] = () => Promise.reject(new BusError('STORE_FULL', 'full'))
  const store = logIdempotency(changed(log, { append }), 'billing', { env })
  await expect(store.remember('a')).rejects.toThrow('full')
  expect([await store.seen('a'), await store.seen('b')]).toEqual([true, false])
})

test('a reading that failed is tried again by the next one who asks', async () => {
  const env = fakeEnv()
  await using log = memoryLog({ env })
  await logIdempotency(log, 'billing', { env }).remember('a')
  let broken = true
  const read: MessageLog['read'] = (stream, options) => {
    if (broken) throw new BusError('STORE_FAILED', 'down')
    return log.read(stream, options)
  }
  const store = logIdempotency(changed(log, { read }), 'billing', { env })
  await expect(store.seen('a')).rejects.toThrow('down')
  broken = false
  expect(await store.seen('a')).toBe(true)
})

test('wrong options are refused by name', () => {
  const log = memoryLog()
  expect(() => memoryIdempotency({ windowMs: 0 })).toThrow(/memoryIdempotency: "windowMs" is 0/)
  expect(() => logIdempotency(log, '')).toThrow(/logIdempotency: "channel" is ""; allowed: a non-empty text/)
  expect(() => logIdempotency(log, 'c', { max: 1 } as IdempotencyStoreOptions)).toThrow(/there is no option "max"/)
})
