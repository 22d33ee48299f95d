import { describe, expect, test } from 'vitest'
import { BusError, type DeadLetter, type Message } from '../../src/index.ts'
import {
  circuitBreaker,
  type HandlerStatsCollector,
  handlerStats,
  isFailedResult,
} from '../../src/reliability/index.ts'
import { AT_ONCE, BACKENDS, keptRig, ledgerOf, settled, until } from './support/kept.ts'
import { announcements, faultOf, range } from './support/woodwork.ts'

// A command is a kept message that one group handles; its outcome is announced, and a dead letter when nothing helped.

const fails = (): never => {
  throw new Error('no')
}
/** A result that reports a failure is one. */
const strict =
  (next: (message: Message, context: never) => unknown) =>
  async (message: Message, context: never): Promise<unknown> => {
    const result = await next(message, context)
    if (isFailedResult(result)) throw new Error('the command reports a failure')
    return result
  }

describe.each(BACKENDS)('on $name', ({ make }) => {
  test('[L35] three retries by default, 0.1 s doubled up to 10 s, with a jitter from nothing to the whole wait', async () => {
    await using store = make()
    await using r = await keptRig(store, { preset: 'llmgine' })
    const { bus, env } = r
    const at = new Map<string, number[]>()
    bus.subscribe(
      'command',
      ({ id }) => {
        at.set(id, [...(at.get(id) ?? []), env.monotonicMs()])
        fails()
      },
      { group: 'handlers', concurrency: 100 },
    )
    for (const n of range(30)) await bus.publish('command', n, { session: `s${n}` })
    await until(async () => {
      await env.advance(5)
      await env.settle()
      return (await bus.deadLetters.count()) === 30
    })
    const waits = [...at.values()].map((times) => times.slice(1).map((ms, n) => ms - (times[n] ?? 0)))
    for (const [n, most] of [100, 200, 400].entries()) {
      const nth = waits.map((one) => one[n] ?? Number.NaN)
      expect(Math.max(...nth)).toBeLessThanOrEqual(most + 60)
      expect(Math.min(...nth)).toBeLessThan(most * 0.5)
      expect(new Set(nth.map((ms) => Math.floor(ms / 10))).size).toBeGreaterThan(3)
    }
    expect(waits.every((one) => one.length === 3)).toBe(true)
  })

  test('[L35] without jitter 10 then 20 ms; always failing with 2 retries makes 3 calls', async () => {
    await using store = make()
    await using r = await keptRig(store, {
      defaults: { retry: { attempts: 3, firstDelayMs: 10, capMs: 10_000, jitter: 'none' } },
    })
    const { bus, env } = r
    const at: number[] = []
    const told = await announcements('message.retried', async () => {
      bus.subscribe(
        'command',
        () => {
          at.push(env.monotonicMs())
          fails()
        },
        { group: 'handlers' },
      )
      await bus.publish('command', 1, { session: 's' })
      await until(async () => {
        await env.advance(1)
        await settled(env)
        return at.length === 3
      })
      await r.advance(10_000)
    })
    expect(at).toHaveLength(3)
    expect(told.map((one) => (one as { delayMs: number }).delayMs)).toEqual([10, 20])
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(10)
    expect((at[2] ?? 0) - (at[1] ?? 0)).toBeGreaterThanOrEqual(20)
    await until(async () => (await bus.deadLetters.count()) === 1)
  })

  test('[L36] errors and failed results are retried; what cannot get better is not, unless a predicate says so', async () => {
    await using store = make()
    const calls: Record<string, number> = {}
    await using bus = await store.open({
      defaults: { retry: { ...AT_ONCE, attempts: 3 } },
      channels: {
        stubborn: {
          retry: { ...AT_ONCE, attempts: 3 },
          when: (error) => (error instanceof RangeError ? false : undefined),
        },
      },
    })
    bus.use(strict as never)
    const what: Record<string, () => unknown> = {
      thrown: fails,
      result: () => ({ success: false }),
      invalid: () => {
        throw new BusError('SCHEMA_MISMATCH', 'wrong data')
      },
      cancelled: () => {
        throw new BusError('CANCELLED', 'given up')
      },
      stubborn: () => {
        throw new RangeError('the predicate knows')
      },
    }
    for (const [topic, handler] of Object.entries(what)) {
      bus.subscribe(
        topic,
        () => {
          calls[topic] = (calls[topic] ?? 0) + 1
          return handler()
        },
        { group: 'handlers' },
      )
      await bus.publish(topic, 1, { until: 'handled' })
    }
    expect(calls).toEqual({ thrown: 3, result: 3, invalid: 1, cancelled: 1, stubborn: 1 })
    await until(async () => (await bus.deadLetters.count()) === 5)
  })

  test('[L36] [LN4] failing commands open their breaker, and a command refused by it uses up no attempt and is not lost', async () => {
    await using store = make()
    await using r = await keptRig(store, { defaults: { retry: { ...AT_ONCE, attempts: 4 } } })
    const { bus, env } = r
    let calls = 0
    let ill = true
    const breaker = circuitBreaker({ failures: 3, restMs: 60_000, successesToClose: 1, env })
    bus.subscribe(
      'command',
      () => {
        calls++
        if (ill) fails()
      },
      { group: 'handlers', concurrency: 1, middleware: [breaker.middleware] },
    )
    for (const n of range(20)) await bus.publish('command', n)
    await r.when(() => breaker.state === 'open')
    expect(calls).toBe(3)
    ill = false
    await until(async () => {
      await env.advance(5_000)
      await settled(env)
      return (await ledgerOf(bus)).acked === 20
    })
    expect(await bus.deadLetters.count()).toBe(0)
    expect(calls).toBe(23)
  })

  test('[L37] one published and one result announcement per command, and one for each attempt that another follows', async () => {
    await using store = make()
    await using bus = await store.open({ defaults: { retry: { ...AT_ONCE, attempts: 3 } } })
    bus.subscribe(
      'command',
      ({ data }, { attempt }) => (data === 'good' && attempt < 3 ? fails() : data === 'bad' ? fails() : 'done'),
      {
        group: 'handlers',
      },
    )
    const names = ['message.published', 'message.retried', 'message.handled', 'message.failed', 'message.died'] as const
    const told = new Map<string, readonly unknown[]>()
    const nested = names.reduceRight<() => Promise<void>>(
      (run, name) => async () => {
        told.set(name, await announcements(name, run))
      },
      async () => {
        for (const data of ['good', 'bad']) await bus.publish('command', data, { until: 'handled' })
        await until(async () => (await bus.deadLetters.count()) === 1)
      },
    )
    await nested()
    const of = (name: string, data: string): unknown[] =>
      (told.get(name) ?? []).filter((one) => (one as { message: Message }).message.data === data)
    expect(names.map((name) => of(name, 'good').length)).toEqual([1, 2, 1, 0, 0])
    expect(names.map((name) => of(name, 'bad').length)).toEqual([1, 2, 0, 1, 1])
    expect(of('message.retried', 'bad').map((one) => (one as { attempt: number }).attempt)).toEqual([1, 2])
    expect(of('message.failed', 'bad')[0]).toMatchObject({ attempt: 3, reason: 'handler-error' })
  })

  test('[L38] after the last attempt: the caller is told, an event says so, and the record has attempts, error, times and session', async () => {
    await using store = make()
    await using r = await keptRig(store, {
      defaults: { retry: { attempts: 3, firstDelayMs: 1_000, factor: 1, jitter: 'none' } },
    })
    const { bus, env } = r
    bus.subscribe('command', () => fails(), { group: 'handlers' })
    const letters: DeadLetter[] = []
    bus.deadLetters.watch((letter) => void letters.push(letter))
    const startedAt = env.wallMs()
    const asked = bus.publish('command', { do: 'it' }, { session: 's1', headers: { type: 'Build' }, until: 'handled' })
    await until(async () => {
      await r.advance(500)
      return letters.length === 1
    })
    expect((await asked).deliveries).toMatchObject([
      { outcome: 'failed', reason: 'handler-error', error: { message: 'no' } },
    ])
    for (const letter of [letters[0], (await bus.deadLetters.list())[0]]) {
      expect(letter).toMatchObject({
        group: 'handlers:command',
        reason: 'handler-error',
        error: 'Error: no',
        message: { data: { do: 'it' }, session: 's1', headers: { type: 'Build' } },
        attempts: [{ error: 'Error: no' }, { error: 'Error: no' }, { error: 'Error: no' }],
      })
      const { attempts = [], firstAttemptAt = 0, diedAt = 0 } = letter ?? {}
      expect(firstAttemptAt).toBeGreaterThanOrEqual(startedAt)
      expect(attempts.at(-1)?.time).toBeGreaterThanOrEqual(firstAttemptAt + 2_000)
      expect(diedAt).toBeGreaterThanOrEqual(firstAttemptAt + 2_000)
    }
  })

  test('[L39] [LN20] dead letters in an order that reading does not change; one is retried with fresh attempts and leaves on success only', async () => {
    await using store = make()
    await using bus = await store.open({ defaults: { retry: { ...AT_ONCE, attempts: 2 } } })
    let calls = 0
    let ill = true
    bus.subscribe(
      'command',
      ({ data }) => {
        if (data === 3) calls++
        if (ill) fails()
      },
      { group: 'handlers' },
    )
    for (const n of range(7)) await bus.publish('command', n, { until: 'handled' })
    await until(async () => (await bus.deadLetters.count()) === 7)
    for (const order of ['newest', 'oldest'] as const) {
      const first = await bus.deadLetters.list({ limit: 5, order })
      expect(await bus.deadLetters.list({ limit: 5, order })).toEqual(first)
      const numbers = first.map(({ message }) => message.data)
      expect(numbers).toEqual(order === 'newest' ? [6, 5, 4, 3, 2] : [0, 1, 2, 3, 4])
    }
    const find = async () => (await bus.deadLetters.list()).find(({ message }) => message.data === 3)
    await bus.deadLetters.redrive((await find())?.id ?? '')
    await until(async () => calls === 4 && (await bus.deadLetters.count()) === 7)
    expect(await find()).toMatchObject({ redriven: 1, attempts: { length: 4 } })
    ill = false
    await bus.deadLetters.redrive((await find())?.id ?? '')
    await until(async () => (await ledgerOf(bus)).acked === 1)
    expect(await find()).toBeUndefined()
    expect([calls, await bus.deadLetters.count()]).toEqual([5, 6])
  })

  test('[L39] [LN5] full dead letters lose the oldest with an event, keep nobody waiting, and redriven ones take no room', async () => {
    await using store = make()
    await using bus = await store.open({ defaults: { retry: { attempts: 1 }, deadLetterLimit: 10 } })
    let ill = true
    bus.subscribe('command', () => (ill ? fails() : undefined), { group: 'handlers' })
    const evicted = await announcements('dead-letter.evicted', async () => {
      for (const n of range(25)) await bus.publish('command', n, { until: 'handled' })
      await until(async () => (await bus.deadLetters.count()) === 10)
    })
    expect(evicted.map((one) => (one as { letter: DeadLetter }).letter.message.data)).toEqual(range(15))
    ill = false
    expect(await bus.deadLetters.redriveAll()).toBe(10)
    await until(async () => (await ledgerOf(bus)).acked === 10)
    ill = true
    const none = await announcements('dead-letter.evicted', async () => {
      for (const n of range(10)) await bus.publish('command', 100 + n, { until: 'handled' })
      await until(async () => (await bus.deadLetters.count()) === 10)
    })
    expect(none).toEqual([])
  })

  test('[L40] an event dies for the handler that failed, and is tried again for that one only', async () => {
    await using store = make()
    await using bus = await store.open({ defaults: { retry: { ...AT_ONCE, attempts: 2 } } })
    const seen: string[] = []
    let ill = true
    bus.subscribe('event', () => void seen.push('good'), { group: 'good' })
    bus.subscribe(
      'event',
      () => {
        seen.push('bad')
        if (ill) fails()
      },
      { group: 'bad' },
    )
    await bus.publish('event', 1, { until: 'handled' })
    await until(async () => (await bus.deadLetters.count()) === 1)
    const [letter] = await bus.deadLetters.list()
    expect(letter).toMatchObject({ group: 'bad:event' })
    ill = false
    await bus.deadLetters.redrive(letter?.id ?? '')
    await until(async () => seen.length === 4 && (await ledgerOf(bus)).pending === 0)
    expect(seen.toSorted()).toEqual(['bad', 'bad', 'bad', 'good'])
    expect(await bus.deadLetters.count()).toBe(0)
  })

  test('[L41] every attempt counts in the statistics of its handler and session, which are forgotten with the session', async () => {
    await using store = make()
    const stats: HandlerStatsCollector = handlerStats()
    await using bus = await store.open({ defaults: { retry: { ...AT_ONCE, attempts: 3 } } })
    bus.use(stats.middleware)
    bus.subscribe('command', ({ data }, { attempt }) => (attempt <= (data as number) ? fails() : undefined), {
      group: 'handlers',
      name: 'build',
    })
    for (const [session, failures] of [
      ['s1', 1],
      ['s1', 3],
      ['s2', 0],
    ] as const) {
      await bus.publish('command', failures, { session, until: 'handled' })
    }
    expect(stats.get('build', 's1')).toMatchObject({
      failureCount: 4,
      consecutiveFailures: 3,
      totalExecutions: 5,
      failureRate: 4 / 5,
      lastFailure: { text: expect.stringContaining('no') },
    })
    expect(stats.get('build', 's2')).toMatchObject({ failureCount: 0, totalExecutions: 1, failureRate: 0 })
    expect(stats.forget('s1')).toBe(1)
    expect(stats.get('build', 's1')).toBeUndefined()
  })

  test('[LN10] a command that nobody handles is neither retried nor dead-lettered: it is held, and asked for it fails at once', async () => {
    await using store = make()
    await using r = await keptRig(store, { preset: 'llmgine' })
    const { bus } = r
    expect((await faultOf(bus.request('command', 1))).code).toBe('NO_RESPONDERS')
    expect(r.env.monotonicMs()).toBe(0)
    await bus.publish('command', 1)
    await r.advance(60_000)
    expect(bus.stats()).toMatchObject({ retried: 0, deadLettered: 0, failures: 0 })
    expect(await bus.deadLetters.count()).toBe(0)
    expect((await bus.channels())[0]?.ledger).toMatchObject({ published: 1, held: 1 })
  })
})
