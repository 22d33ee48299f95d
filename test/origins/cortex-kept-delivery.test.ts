import { describe, expect, test } from 'vitest'
import { openBus } from '../../src/index.ts'
import { memoryLog, streamOf } from '../../src/log/index.ts'
import { messageMaker } from '../../src/message/make.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { cortexKeptDeliveryCases } from './cases/cortex-kept-delivery.ts'
import { BACKENDS, close, ledgerOf, ledgerUntil, passUntil, until } from './support/cortex-kept.ts'
import { codeOf, follow, gate } from './support/cortex-veritas.ts'

cortexKeptDeliveryCases(BACKENDS)

describe.each(BACKENDS)('on $name', ({ make }) => {
  test('[C15] a handler that lives keeps its message far beyond the visibility time of 30 s', async () => {
    await using store = make()
    const env = fakeEnv()
    const bus = await store.open({ env, handlerTimeoutMs: 3_600_000 })
    const busy = gate()
    let starts = 0
    const handler = async (): Promise<void> => {
      starts++
      await busy.closed
    }
    bus.subscribe('tasks.*', handler, { group: 'workers' })
    bus.subscribe('tasks.*', handler, { group: 'workers' })
    await bus.publish('tasks.a', 1)
    await until(() => starts === 1)
    for (let passed = 0; passed < 300_000; passed += 5_000) await env.advance(5_000)
    expect(starts).toBe(1)
    busy.open()
    await ledgerUntil(bus, ({ acked }) => acked === 1)
    expect((await ledgerOf(bus)).balance).toBe(0)
    await close(bus)
  })

  test('[C20] a task that becomes too old while it waits is not handled: its sender is told, whoever asked too, and it is a dead letter', async () => {
    await using store = make()
    const env = fakeEnv()
    const bus = await store.open({ env })
    const busy = gate()
    const handled: unknown[] = []
    bus.subscribe(
      'tasks.*',
      async ({ data }) => {
        handled.push(data)
        await busy.closed
      },
      { group: 'workers', concurrency: 1 },
    )
    await bus.publish('tasks.a', 'first')
    await until(() => handled.length === 1)
    const asked = follow(bus.request('tasks.a', 'late', { ttlMs: 1_000, timeoutMs: 60_000 }))
    const told = follow(bus.publish('tasks.a', 'late too', { ttlMs: 1_000, until: 'succeeded' }))
    // A request is live: who asks waits for it, so it is told, and nothing is kept for nobody.
    await ledgerUntil(bus, ({ leased }) => leased === 2)
    await env.advance(2_000)
    busy.open()
    await passUntil(env, () => asked.state === 'rejected' && told.state === 'rejected', 100, 20_000)
    expect(asked.error).toMatchObject({ code: 'MESSAGE_EXPIRED' })
    expect(told.error).toMatchObject({ code: 'MESSAGE_EXPIRED' })
    await until(async () => (await bus.deadLetters.count({ reason: 'expired' })) === 1)
    expect(handled).toEqual(['first'])
    await close(bus)
  })

  test('[C20] a consumer that wants nothing older than 30 s sends what is older to the dead letters, untried', async () => {
    await using store = make()
    const env = fakeEnv()
    const bus = await store.open({ env })
    await bus.publish('tasks.a', 'old')
    await env.advance(30_001)
    const young = await bus.publish('tasks.a', 'young')
    const got: unknown[] = []
    bus.subscribe('tasks.*', ({ data }) => void got.push(data), { group: 'workers', maxAgeMs: 30_000 })
    await ledgerUntil(bus, ({ acked, expired }) => acked === 1 && expired === 1)
    await until(async () => (await bus.deadLetters.count()) === 1)
    const [letter] = await bus.deadLetters.list()
    expect([letter?.message.data, letter?.reason, letter?.attempts.length]).toEqual(['old', 'expired', 0])
    expect(got).toEqual(['young'])
    expect(young.duplicate).toBe(false)
    await close(bus)
  })
})

test('[C15] work that a living process took and forgot returns after its visibility time, to another member', async () => {
  const env = fakeEnv()
  await using log = memoryLog({ env })
  const stream = streamOf('tasks', 'normal')
  await log.append(stream, [{ message: messageMaker(env).make('tasks.a', 1) }])
  const forgetful = log.consume(stream, 'workers', { ackWaitMs: 30_000 })[Symbol.asyncIterator]()
  const { value: first } = await forgetful.next()
  const other = log.consume(stream, 'workers', { ackWaitMs: 30_000 })[Symbol.asyncIterator]()
  const next = follow(other.next())
  await env.advance(29_999)
  expect(next.state).toBe('pending')
  await env.advance(1_001)
  expect(next.state).toBe('resolved')
  expect(next.value?.value).toMatchObject({ offset: first.offset, attempt: 2 })
  expect(await first.settle('acked')).toBe(false)
  expect(await next.value?.value.settle('acked')).toBe(true)
  await forgetful.return?.()
  await other.return?.()
})

test('[C22] the key is forgotten after the duplicate window', async () => {
  const env = fakeEnv()
  const bus = await openBus('memory:', { env, dedupMs: 60_000 })
  const first = await bus.publish('tasks.a', 1, { idempotencyKey: 'k' })
  await env.advance(59_000)
  expect((await bus.publish('tasks.a', 1, { idempotencyKey: 'k' })).id).toBe(first.id)
  await env.advance(2_000)
  const later = await bus.publish('tasks.a', 1, { idempotencyKey: 'k' })
  expect([later.duplicate, later.id === first.id]).toEqual([false, false])
  await close(bus)
})

test('[C22] a live topic refuses a key that it cannot keep', async () => {
  await using bus = await openBus('memory:', { channels: { live: { kept: false } } })
  expect(await codeOf(bus.publish('live.a', 1, { idempotencyKey: 'k' }))).toBe('UNSUPPORTED')
})
