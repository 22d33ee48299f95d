import { describe, expect, test } from 'vitest'
import { fromJson, type Message, PRIORITIES, priorityFrom, toJson } from '../../src/index.ts'
import { cortexTaskDialect, eventPriority } from '../../src/message/dialects/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { BACKENDS, close, ledgerOf, ledgerUntil, passUntil, until } from './support/cortex-kept.ts'
import { numbers } from './support/cortex-veritas.ts'

const HOUR_MS = 3_600_000

describe.each(BACKENDS)('on $name', ({ make }) => {
  test('[C1] a kept task keeps id, sender, target, level, type, payload, text, time, ttl of 3 600 s and deadline', async () => {
    await using store = make()
    const env = fakeEnv()
    const bus = await store.open({ env, preset: 'cortex' })
    bus.declare('pink')
    const data = { task: 'fix auth', payload: { file: 'a.ts', lines: [1, 2] } }
    const headers = { type: 'coding' }
    const first = await bus.send('pink', data, { from: 'harold', priority: 'critical', headers })
    const second = await bus.publish('tasks.coding', data, { from: 'harold', headers, ttlMs: 90_000 })
    const sentAt = env.wallMs()
    await close(bus)

    const again = await store.open({ env, preset: 'cortex' })
    const got: Message[] = []
    again.register('pink', { handler: (message) => void got.push(message) })
    again.subscribe('tasks.*', (message) => void got.push(message), { group: 'coders' })
    await until(() => got.length === 2)
    const direct = got.find((one) => one.id === first.id)
    expect(direct).toMatchObject({
      topic: 'agent.pink',
      from: 'harold',
      to: 'pink',
      priority: 'critical',
      headers,
      data,
    })
    expect(direct).toMatchObject({ time: sentAt, expiresAt: sentAt + HOUR_MS })
    // To nobody: any member of the pool of its type.
    const pooled = got.find((one) => one.id === second.id)
    expect(pooled).toMatchObject({
      topic: 'tasks.coding',
      to: undefined,
      priority: 'normal',
      expiresAt: sentAt + 90_000,
    })
    const ended = close(again)
    await env.advance(100)
    await ended
  })

  test('[C1] a deadline as ISO time ends a task that is read before it was handled', async () => {
    await using store = make()
    const env = fakeEnv({ wallMs: Date.parse('2026-03-01T12:00:00Z') })
    const bus = await store.open({ env })
    const dialect = cortexTaskDialect({ env })
    const task = {
      id: 't1',
      from: 'harold',
      type: 'coding',
      priority: 1,
      task: 'x',
      deadline: '2026-03-01T12:00:10.500Z',
    }
    const read = dialect.read(task)
    expect(read.expiresAt).toBe(Date.parse('2026-03-01T12:00:10.500Z'))
    const ttlMs = (read.expiresAt as number) - env.wallMs()
    await bus.publish(read.topic, read.data, { priority: read.priority, ttlMs, headers: read.headers })
    await env.advance(10_501)
    let handled = 0
    bus.subscribe('tasks.*', () => void handled++, { group: 'coders' })
    await until(async () => (await bus.deadLetters.count({ reason: 'expired' })) === 1)
    expect(handled).toBe(0)
    await close(bus)
  })

  test('[C2] values keep their types through the store and a restart', async () => {
    await using store = make()
    const data = {
      whole: 42,
      big: 2 ** 53 - 1,
      negative: -0.125,
      text: '42',
      yes: true,
      no: false,
      nothing: null,
      list: [1, '1', [true, null], { deep: { deeper: 1e-7 } }],
      empty: {},
      unicode: 'grün 🚀   "quoted"',
      bytes: new Uint8Array([0, 255, 128]),
      when: new Date(1_700_000_000_123),
    }
    {
      await using bus = await store.open()
      await bus.publish('tasks.a', data, { headers: { count: '42' } })
    }
    await using bus = await store.open()
    const got: Message[] = []
    bus.subscribe('tasks.*', (message) => void got.push(message), { group: 'coders' })
    await until(() => got.length === 1)
    expect(got[0]?.data).toEqual(data)
    expect(got[0]?.headers).toEqual({ count: '42' })
    for await (const message of bus.replay('tasks.>')) expect(message.data).toEqual(data)
  })

  test('[C2] `created` in unix seconds and `created_at` as ISO text are both read, and survive the store', async () => {
    await using store = make()
    const env = fakeEnv({ wallMs: 1_700_000_100_000 })
    const bus = await store.open({ env })
    const dialect = cortexTaskDialect({ env })
    const times = [
      { created: 1_700_000_000 },
      { created: 1_700_000_000.123 },
      { created_at: '2023-11-14T22:13:20.123Z' },
    ]
    for (const time of times) {
      const task = dialect.read({ type: 'coding', task: 'x', payload: { n: 1 }, ...time })
      await bus.publish('archive', toJson(task), {})
    }
    const read: number[] = []
    for await (const message of bus.replay('archive')) {
      const inner = fromJson(message.data as never, env)
      read.push(inner.time)
      expect(inner.data).toEqual({ task: 'x', payload: { n: 1 } })
    }
    expect(read).toEqual([1_700_000_000_000, 1_700_000_000_123, 1_700_000_000_123])
    await close(bus)
  })

  test('[C4] the five levels survive the store and are handed out from the highest to the lowest after a restart', async () => {
    await using store = make()
    const levels = [4, 2, 0, 3, 1, 'unheard-of'] as const
    {
      await using bus = await store.open()
      for (const level of levels) await bus.publish('tasks.a', level, { priority: priorityFrom(level) })
    }
    await using bus = await store.open({ autoStart: false })
    const got: [unknown, string][] = []
    bus.subscribe('tasks.*', ({ data, priority }) => void got.push([data, priority]), { group: 'all', concurrency: 1 })
    await ledgerUntil(bus, ({ leased }) => leased === 6)
    bus.start()
    await until(() => got.length === 6)
    expect(got).toEqual([
      [0, 'critical'],
      [1, 'high'],
      [2, 'normal'],
      ['unheard-of', 'normal'],
      [3, 'low'],
      [4, 'background'],
    ])
  })

  test('[C4] events map to the level of their kind and are kept in its lane', async () => {
    await using store = make()
    await using bus = await store.open()
    const kinds = {
      critical: 'critical',
      error: 'critical',
      alert: 'critical',
      high: 'high',
      warning: 'high',
      low: 'low',
    }
    const all = { ...kinds, debug: 'low', lobe_start: 'normal' }
    for (const [kind, level] of Object.entries(all)) {
      const { offset } = await bus.publish(`events.${kind}`, kind, { priority: eventPriority(`events.${kind}`) })
      expect(offset).toContain(`events/${level}:`)
    }
  })

  test('[C5] [CN5] behind a kept backlog of 2 000 low messages, 5 critical ones are the next', {
    timeout: 60_000,
  }, async () => {
    await using store = make()
    await using bus = await store.open()
    await Promise.all(numbers(2_000).map((number) => bus.publish('tasks.a', number, { priority: 'low' })))
    const got: unknown[] = []
    const gate = Promise.withResolvers<void>()
    bus.subscribe(
      'tasks.*',
      async ({ data }) => {
        got.push(data)
        if (got.length === 10) await gate.promise
      },
      { group: 'workers', concurrency: 1 },
    )
    await until(() => got.length === 10)
    for (const number of numbers(5)) await bus.publish('tasks.a', `critical ${number}`, { priority: 'critical' })
    // 256 low ones are in hand already: no buffer may put them before those that came now.
    await ledgerUntil(bus, ({ leased }) => leased === 256 + 5)
    gate.resolve()
    await until(() => got.length === 2_005)
    expect(got.slice(10, 15)).toEqual(numbers(5).map((number) => `critical ${number}`))
    expect(got.filter((one) => typeof one === 'number')).toEqual(numbers(2_000))
  })

  test('[C5] low and background messages of a kept backlog are passed by at most 100 higher ones in a row', async () => {
    await using store = make()
    {
      await using bus = await store.open()
      for (const level of ['low', 'background'] as const) await bus.publish('tasks.a', level, { priority: level })
      await Promise.all(numbers(400).map((number) => bus.publish('tasks.a', number, { priority: 'high' })))
    }
    await using bus = await store.open({ channels: { tasks: { window: 1_000 } }, autoStart: false })
    const got: unknown[] = []
    bus.subscribe('tasks.*', ({ data }) => void got.push(data), { group: 'workers', concurrency: 1 })
    await ledgerUntil(bus, ({ leased }) => leased === 402)
    bus.start()
    await until(() => got.length === 402)
    const places = ['low', 'background'].map((level) => got.indexOf(level))
    expect(Math.min(...places)).toBeLessThanOrEqual(100)
    expect(Math.max(...places)).toBeLessThanOrEqual(201)
    expect(Math.min(...places)).toBeGreaterThan(10)
  })

  test('[C6] 20 000 kept messages of all levels to two inboxes come first in, first out in each level and inbox', {
    timeout: 120_000,
  }, async () => {
    await using store = make()
    await using bus = await store.open({ limit: 100_000 })
    const got = new Map<string, number[]>()
    for (const name of ['pink', 'red']) {
      bus.register(name, {
        handler: ({ data, priority }) => {
          const key = `${name} ${priority}`
          const list = got.get(key) ?? []
          got.set(key, list)
          list.push(data as number)
        },
      })
    }
    for (let from = 0; from < 20_000; from += 1_000) {
      await Promise.all(
        numbers(1_000).map((index) => {
          const number = from + index
          const priority = PRIORITIES[number % 5]
          return bus.send(number % 3 === 0 ? 'pink' : 'red', number, priority === undefined ? {} : { priority })
        }),
      )
    }
    const count = (): number => [...got.values()].reduce((sum, list) => sum + list.length, 0)
    await until(() => count() >= 20_000)
    await ledgerUntil(bus, ({ acked }) => acked === 20_000)
    expect(count()).toBe(20_000)
    expect(got.size).toBe(10)
    for (const [key, list] of got) {
      let last = -1
      let wrong = 0
      for (const number of list) {
        if (number < last) wrong++
        last = number
      }
      expect([key, wrong]).toEqual([key, 0])
    }
  })

  test('[CN8] a message 2 h old with a ttl of 1 h is not handled, whoever comes; it leaves a record', async () => {
    await using store = make()
    const env = fakeEnv()
    const bus = await store.open({ env, preset: 'cortex' })
    await bus.publish('tasks.a', 'old', { ttlMs: HOUR_MS })
    await close(bus)
    await env.advance(2 * HOUR_MS)
    const again = await store.open({ env, preset: 'cortex' })
    const got: unknown[] = []
    again.subscribe('tasks.*', ({ data }) => void got.push(data), { group: 'workers' })
    await again.publish('tasks.a', 'young')
    await passUntil(env, () => got.length > 0, 10, 10_000)
    await until(async () => (await again.deadLetters.count({ reason: 'expired' })) === 1)
    expect(got).toEqual(['young'])
    expect(await ledgerOf(again)).toMatchObject({ expired: 1, acked: 1, balance: 0 })
    await close(again)
  })
})
