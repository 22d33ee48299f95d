import { channel } from 'node:diagnostics_channel'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemEnv } from '../../src/kit/env.ts'
import { memoryLog } from '../../src/log/index.ts'
import { openBus } from '../../src/node/node.ts'
import { fakeEnv } from '../../src/testing/fake-env.ts'
import { BACKENDS, ledgerOf, until } from './support.ts'

function evictions(): unknown[] {
  const heard: unknown[] = []
  const listener = (event: unknown): void =>
    void heard.push((event as { letter: { message: { data: unknown } } }).letter.message.data)
  channel('swarmbus.dead-letter.evicted').subscribe(listener)
  onTestFinished(() => {
    channel('swarmbus.dead-letter.evicted').unsubscribe(listener)
  })
  return heard
}

function fails(): never {
  throw new Error('no')
}

test('[W24] a dead letter goes when its time is over, is told of, and a younger one stays', async () => {
  const env = fakeEnv()
  await using log = memoryLog({ env })
  await using bus = await openBus(log, {
    env,
    defaults: { retry: { attempts: 1 }, deadLetterMaxAgeMs: 3_600_000 },
    channels: { forever: { deadLetterMaxAgeMs: 365 * 86_400_000 } },
  })
  const heard = evictions()
  for (const topic of ['tasks', 'forever']) bus.subscribe(topic, fails, { group: 'g' })
  await bus.publish('tasks', 'old', { until: 'handled' })
  await bus.publish('forever', 'kept', { until: 'handled' })
  await env.advance(3_000_000)
  await bus.publish('tasks', 'young', { until: 'handled' })
  expect(heard).toEqual([])
  await env.advance(590_000)
  expect(await bus.deadLetters.count()).toBe(3)
  await env.advance(40_000)
  expect(heard).toEqual(['old'])
  expect((await bus.deadLetters.list({ channel: 'tasks' })).map(({ message }) => message.data)).toEqual(['young'])
  expect(await bus.deadLetters.count({ channel: 'forever' })).toBe(1)
  expect(await ledgerOf(bus)).toMatchObject({ published: 3, dead: 3, balance: 0 })
})

describe.each(BACKENDS)('$name', ({ make }) => {
  test('[W24] a dead letter whose time was over while nobody looked goes after the next opening', async () => {
    await using store = make()
    {
      await using bus = await store.open({ defaults: { retry: { attempts: 1 } } })
      bus.subscribe('tasks', fails, { group: 'g' })
      await bus.publish('tasks', 'old', { until: 'handled' })
    }
    const env = fakeEnv({ wallMs: systemEnv().wallMs() + 7_200_000 })
    await using bus = await store.open({ env, defaults: { deadLetterMaxAgeMs: 3_600_000 } })
    expect(await bus.deadLetters.count()).toBe(1)
    await env.advance(16_000)
    await until(async () => (await bus.deadLetters.count()) === 0, 'the sweep')
    expect(await ledgerOf(bus)).toMatchObject({ published: 1, dead: 1, balance: 0 })
  })
})

test('[W24] an age that is none is refused', async () => {
  await expect(openBus('memory:', { defaults: { deadLetterMaxAgeMs: 0 } })).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    details: { field: 'deadLetterMaxAgeMs' },
  })
})
