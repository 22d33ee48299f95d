import { describe, expect, test } from 'vitest'
import { type Message, openBus } from '../../src/index.ts'
import { memoryLog, streamOf } from '../../src/log/index.ts'
import { messageMaker } from '../../src/message/make.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { BACKENDS, close, ledgerOf, ledgerUntil, passUntil, until } from './support/cortex-kept.ts'
import { codeOf, follow, gate, numbers, refusal } from './support/cortex-veritas.ts'

describe.each(BACKENDS)('on $name', ({ make }) => {
  test('[C14] a publish is answered with an id and a place under which the message is kept already', async () => {
    await using store = make()
    await using bus = await store.open()
    for (const number of numbers(20)) {
      const { id, offset, level } = await bus.publish('tasks.a', number)
      expect(level).toBe((await bus.channels())[0]?.level)
      const found: Message[] = []
      for await (const message of bus.replay('tasks.>', { from: { offset: offset as string } })) found.push(message)
      expect(found.map((one) => [one.id, one.data])).toEqual([[id, number]])
    }
  })

  test('[C15] the acknowledgement comes after the handler has finished, not when it begins', async () => {
    await using store = make()
    await using bus = await store.open()
    const busy = gate()
    let started = false
    bus.subscribe(
      'tasks.*',
      async () => {
        started = true
        await busy.closed
      },
      { group: 'workers' },
    )
    const done = follow(bus.publish('tasks.a', 1, { until: 'handled' }))
    await until(() => started)
    await ledgerUntil(bus, ({ leased }) => leased === 1)
    expect(await ledgerOf(bus)).toMatchObject({ acked: 0, leased: 1 })
    expect(done.state).toBe('pending')
    busy.open()
    await ledgerUntil(bus, ({ acked }) => acked === 1)
    await until(() => done.state === 'resolved')
  })

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

  test('[C21] a task that waits is dropped with a record when it is cancelled; its neighbours are handled', async () => {
    await using store = make()
    await using bus = await store.open()
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
    const acks = await Promise.all(numbers(3).map((number) => bus.publish('tasks.a', number)))
    await ledgerUntil(bus, ({ leased }) => leased === 3)
    expect(await bus.cancel(acks[1]?.id as string)).toBe(1)
    expect(await bus.cancel(acks[1]?.id as string)).toBe(0)
    busy.open()
    await ledgerUntil(bus, ({ acked, dropped }) => acked === 2 && dropped === 1)
    expect(handled).toEqual([0, 2])
    await until(async () => (await bus.deadLetters.count({ reason: 'cancelled' })) === 1)
    expect((await bus.deadLetters.list())[0]?.message.data).toBe(1)
  })

  test('[C21] a running task gets an abort signal, is not tried again, and leaves a record', async () => {
    await using store = make()
    await using bus = await store.open({ defaults: { retry: { attempts: 5, firstDelayMs: 0 } } })
    let starts = 0
    let reason: unknown
    bus.subscribe(
      'tasks.*',
      (_message, { signal }) =>
        new Promise((_resolve, reject) => {
          starts++
          signal.addEventListener('abort', () => {
            reason = signal.reason
            reject(signal.reason as Error)
          })
        }),
      { group: 'workers' },
    )
    const { id } = await bus.publish('tasks.a', 1)
    await until(() => starts === 1)
    expect(await bus.cancel(id)).toBe(1)
    expect(reason).toMatchObject({ code: 'CANCELLED' })
    await ledgerUntil(bus, ({ dropped }) => dropped === 1)
    await until(async () => (await bus.deadLetters.count({ reason: 'cancelled' })) === 1)
    expect(starts).toBe(1)
    expect((await ledgerOf(bus)).balance).toBe(0)
  })

  test('[C21] a cancel of a task that nobody works on yet overtakes it', async () => {
    await using store = make()
    await using bus = await store.open()
    const handled: unknown[] = []
    bus.subscribe('tasks.*', ({ data }) => void handled.push(data), { group: 'workers' })
    const unwanted = await bus.publish('tasks.a', 'unwanted', { delayMs: 3_600_000 })
    await bus.publish('tasks.a', 'wanted', { until: 'handled' })
    expect(await bus.cancel(unwanted.id)).toBe(1)
    await ledgerUntil(bus, ({ dropped, acked }) => dropped === 1 && acked === 1)
    await until(async () => (await bus.deadLetters.count({ reason: 'cancelled' })) === 1)
    expect(handled).toEqual(['wanted'])
  })

  test('[C22] a repeat with the same key is accepted once and gets the first id back, after a restart too', async () => {
    await using store = make()
    const handled: unknown[] = []
    let firstId = ''
    {
      await using bus = await store.open()
      const [first, second] = await Promise.all([
        bus.publish('tasks.a', 'one', { idempotencyKey: 'order-1' }),
        bus.publish('tasks.a', 'two', { idempotencyKey: 'order-1' }),
      ])
      expect([first?.duplicate, second?.duplicate]).toEqual([false, true])
      expect(second?.id).toBe(first?.id)
      expect(second?.offset).toBe(first?.offset)
      firstId = first?.id as string
    }
    await using bus = await store.open()
    bus.subscribe('tasks.*', ({ data }) => void handled.push(data), { group: 'workers' })
    const third = await bus.publish('tasks.a', 'three', { idempotencyKey: 'order-1' })
    expect([third.id, third.duplicate]).toEqual([firstId, true])
    const other = await bus.publish('tasks.a', 'four', { idempotencyKey: 'order-2', until: 'handled' })
    expect(other.duplicate).toBe(false)
    expect(handled).toEqual(['one', 'four'])
  })

  test('[C28] a consumer gets no more than it has room for; all the rest waits in the log, counted', async () => {
    await using store = make()
    await using bus = await store.open({ channels: { tasks: { window: 10 } } })
    const busy = gate()
    let running = 0
    let most = 0
    bus.subscribe(
      'tasks.*',
      async () => {
        running++
        most = Math.max(most, running)
        await busy.closed
        running--
      },
      { group: 'workers', concurrency: 4 },
    )
    await Promise.all(numbers(100).map((number) => bus.publish('tasks.a', number)))
    await until(() => running === 4)
    await ledgerUntil(bus, ({ leased }) => leased === 10)
    expect(await ledgerOf(bus)).toMatchObject({ published: 100, leased: 10, pending: 90, balance: 0 })
    busy.open()
    await ledgerUntil(bus, ({ acked }) => acked === 100)
    expect(most).toBe(4)
  })

  test('[C28] a full channel is visible to the publisher, and what was accepted is not dropped', async () => {
    await using store = make()
    await using bus = await store.open({ channels: { tasks: { limit: 5, overflow: 'refuse' } } })
    const busy = gate()
    const handled: unknown[] = []
    bus.subscribe(
      'tasks.*',
      async ({ data }) => {
        await busy.closed
        handled.push(data)
      },
      { group: 'workers' },
    )
    for (const number of numbers(5)) await bus.publish('tasks.a', number)
    const error = await refusal(bus.publish('tasks.a', 5))
    expect(error.code).toBe('QUEUE_FULL')
    expect(error.details).toMatchObject({ name: 'tasks', limit: 5 })
    busy.open()
    await ledgerUntil(bus, ({ acked }) => acked === 5)
    await bus.publish('tasks.a', 6, { until: 'handled' })
    expect(handled).toEqual([0, 1, 2, 3, 4, 6])
    expect(await ledgerOf(bus)).toMatchObject({ published: 6, acked: 6, dropped: 0, balance: 0 })
  })

  test('[C28] a channel that drops its oldest message under pressure says so by a dead letter', async () => {
    await using store = make()
    await using bus = await store.open({ channels: { tasks: { limit: 5, overflow: 'drop-oldest' } } })
    await bus.subscribe('tasks.*', () => undefined, { group: 'workers' }).drain()
    for (const number of numbers(8)) await bus.publish('tasks.a', number)
    const letters = await bus.deadLetters.list({ order: 'oldest' })
    expect(letters.map((one) => [one.message.data, one.reason])).toEqual(numbers(3).map((one) => [one, 'queue-full']))
    expect(await ledgerOf(bus)).toMatchObject({ dropped: 3, pending: 5, balance: 0 })
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
