import { describe, expect, test } from 'vitest'
import { memoryLog } from '../../src/log/index.ts'
import { openJournal, type Step } from '../../src/observe/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { cortexKeptAuditCases } from './cases/cortex-kept-audit.ts'
import { BACKENDS, close, ledgerUntil, until } from './support/cortex-kept.ts'

const HOUR_MS = 3_600_000

function steps(trace: readonly Step[]): string[] {
  return trace.map((step) => step.event)
}

cortexKeptAuditCases(BACKENDS)

describe.each(BACKENDS)('on $name', ({ make, name }) => {
  test('[C33] for one message the times of publish, delivery, acknowledgement, retry, death, redrive and replay can be asked', async () => {
    await using store = make()
    const env = fakeEnv()
    await using log = memoryLog({ env })
    const journal = openJournal(`audit-${name}`, log, { env, data: true })
    const retry = { delaysMs: [5_000, 15_000], jitter: 'none' } as const
    const bus = await store.open({ env, name: `audit-${name}`, defaults: { retry } })
    const began = env.wallMs()
    let broken = true
    let calls = 0
    const handler = async (): Promise<void> => {
      calls++
      await new Promise<void>((resolve) => void env.after(40, resolve))
      if (broken) throw new Error('down')
    }
    bus.subscribe('tasks.*', handler, { group: 'workers', name: 'pink' })
    const { id } = await bus.publish('tasks.a', { task: 'fix' }, { from: 'harold' })
    for (const [tries, waitMs] of [
      [1, 5_000],
      [2, 15_000],
    ] as const) {
      await until(() => calls === tries)
      await env.advance(40)
      await ledgerUntil(bus, ({ delayed }) => delayed === 1)
      await env.advance(waitMs)
    }
    await until(() => calls === 3)
    await env.advance(40)
    await until(async () => (await bus.deadLetters.count()) === 1)
    broken = false
    await env.advance(100_000)
    const [letter] = await bus.deadLetters.list()
    await bus.deadLetters.redrive(letter?.id as string)
    await until(() => calls === 4)
    await env.advance(40)
    await until(async () => steps(await journal.trace(id)).includes('acked'))
    await env.advance(1_000)
    for await (const message of bus.replay('tasks.>')) expect(message.id).toBe(id)

    const trace = await journal.trace(id)
    const at = (event: string): readonly (readonly [number | undefined, number])[] =>
      trace
        .filter((step) => step.event === event)
        .map(({ startedAt, time }) => [startedAt === undefined ? undefined : startedAt - began, time - began] as const)
    expect(at('published')).toEqual([[undefined, 0]])
    expect(trace[0]).toMatchObject({ event: 'published', from: 'harold', data: { task: 'fix' } })
    expect(at('retried')).toEqual([
      [0, 40],
      [5_040, 5_080],
    ])
    expect(trace.filter((step) => step.event === 'retried')).toMatchObject([
      { name: 'pink', attempt: 1, delayMs: 5_000, error: 'Error: down' },
      { name: 'pink', attempt: 2, delayMs: 15_000, error: 'Error: down' },
    ])
    expect(at('failed')).toEqual([[20_080, 20_120]])
    expect(at('died')).toEqual([[undefined, 20_120]])
    expect(trace.find((step) => step.event === 'died')).toMatchObject({ reason: 'handler-error', error: 'Error: down' })
    expect(at('redriven')).toEqual([[undefined, 120_120]])
    expect(at('handled')).toEqual([[120_120, 120_160]])
    expect(at('acked')).toEqual([[undefined, 120_160]])
    expect(at('replayed')).toEqual([[undefined, 121_160]])
    await journal.stop()
    await close(bus)
  })

  test('[C39] counts per agent, type and hour, mean handling time and share of failures come out of the stored events', async () => {
    await using store = make()
    const env = fakeEnv({ wallMs: Date.UTC(2026, 0, 1, 9) })
    await using log = memoryLog({ env })
    const journal = openJournal(`figures-${name}`, log, { env })
    const bus = await store.open({ env, name: `figures-${name}`, defaults: { retry: { attempts: 1 } } })
    const worker = (agent: string, ms: number, fails: boolean): void => {
      bus.register(agent, {
        handler: async () => {
          await new Promise<void>((resolve) => void env.after(ms, resolve))
          if (fails) throw new Error('down')
        },
      })
    }
    worker('pink', 10, false)
    worker('red', 30, true)
    let settled = 0
    for (const [agent, ms] of [
      ['pink', 10],
      ['pink', 10],
      ['red', 30],
      ['pink', 10],
    ] as const) {
      await bus.send(agent, 1, { from: 'harold' })
      await ledgerUntil(bus, ({ leased }) => leased === 1)
      await until(() => bus.agent(agent)?.running === 1)
      await env.advance(ms)
      settled++
      await ledgerUntil(bus, ({ acked, dead }) => (acked as number) + (dead as number) === settled)
      await env.advance(HOUR_MS / 2)
    }
    await until(async () => (await bus.deadLetters.count()) === 1)
    const begin = Date.UTC(2026, 0, 1, 9)
    const result = await journal.evaluate()
    expect(result).toMatchObject({
      published: 4,
      handled: 3,
      failed: 1,
      died: 1,
      meanHandlingMs: 10,
      failedShare: 0.25,
    })
    expect(result.agents.get('harold')?.published).toBe(4)
    expect(result.agents.get('pink')).toMatchObject({ handled: 3, failed: 0, failedShare: 0, meanHandlingMs: 10 })
    expect(result.agents.get('red')).toMatchObject({ handled: 0, failed: 1, failedShare: 1, meanHandlingMs: undefined })
    expect(result.topics.get('agent.pink')).toMatchObject({ published: 3, handled: 3 })
    expect([...result.hours].map(([hour, { published }]) => [hour, published])).toEqual([
      [begin, 2],
      [begin + HOUR_MS, 2],
    ])
    expect(await journal.evaluate({ since: begin + HOUR_MS })).toMatchObject({ published: 2, handled: 1, failed: 1 })
    expect(await journal.evaluate({ until: begin + HOUR_MS })).toMatchObject({ published: 2, handled: 2, failed: 0 })
    expect(await journal.evaluate({ agent: 'pink' })).toMatchObject({ published: 0, handled: 3 })
    expect(await journal.evaluate({ topic: 'agent.red' })).toMatchObject({ published: 1, failed: 1 })
    const nothing = await journal.evaluate({ agent: 'nobody' })
    expect(nothing).toMatchObject({ handled: 0, failedShare: 0, meanHandlingMs: undefined, missing: 0 })
    await journal.stop()
    await close(bus)
  })
})
