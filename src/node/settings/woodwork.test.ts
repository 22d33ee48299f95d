import { expect, test } from 'vitest'
import { agentTopic } from '../../message/address.ts'
import { fakeEnv } from '../../testing/fake-env.ts'
import { openBus } from '../node.ts'
import { type WoodworkBusSettings, woodworkSettings } from './woodwork.ts'

const REDIS = 'redis://queue:6379/1'
const NATS = 'nats://queue:4222'

function faultOf(given: unknown, environment: Readonly<Record<string, string>> = {}): object {
  try {
    woodworkSettings(given as WoodworkBusSettings, environment)
  } catch (error) {
    return { code: (error as { code: string }).code, message: (error as Error).message, ...(error as object) }
  }
  return { code: 'none' }
}

test.each([
  [{}, 'memory:', 0],
  [{ WOODWORK_ENV: '' }, 'memory:', 0],
  [{ WOODWORK_ENV: 'development', REDIS_URL: REDIS, NATS_URL: NATS }, 'memory:', 0],
  [{ WOODWORK_ENV: 'dev' }, 'memory:', 0],
  [{ WOODWORK_ENV: 'production', REDIS_URL: REDIS, NATS_URL: NATS }, `${REDIS}?prefix=woodwork`, 0],
  [{ WOODWORK_ENV: 'PROD', REDIS_URL: REDIS }, `${REDIS}?prefix=woodwork`, 0],
  [{ WOODWORK_ENV: 'staging', REDIS_URL: REDIS }, `${REDIS}?prefix=woodwork`, 0],
  [{ WOODWORK_ENV: 'production', NATS_URL: NATS }, 'memory:', 1],
  [{ WOODWORK_ENV: 'cloud', REDIS_URL: REDIS, NATS_URL: NATS }, `${NATS}?prefix=woodwork`, 0],
  [{ WOODWORK_ENV: 'cloud', REDIS_URL: REDIS }, `${REDIS}?prefix=woodwork`, 0],
  [{ WOODWORK_ENV: 'cloud' }, 'memory:', 1],
  [{ WOODWORK_ENV: 'moon', REDIS_URL: REDIS }, 'memory:', 1],
])('[W22] auto: %j gives %s with %i warnings', (environment, url, count) => {
  for (const given of [undefined, {}, { type: 'auto' } as const]) {
    const settings = woodworkSettings(given, environment)
    expect(settings.url).toBe(url)
    expect(settings.warnings).toHaveLength(count)
  }
})

test('[W22] a warning names the variable and what it costs', () => {
  const { warnings } = woodworkSettings(undefined, { WOODWORK_ENV: 'prod' })
  expect(warnings[0]).toMatch(/WOODWORK_ENV is "prod" and REDIS_URL is not set.*nothing outlives this process/)
  expect(woodworkSettings({}, { WOODWORK_ENV: 'moon' }).warnings[0]).toContain('"moon"')
})

test.each([
  ['memory', {}, 'memory:'],
  ['in_memory', { REDIS_URL: REDIS }, 'memory:'],
  ['redis', { REDIS_URL: REDIS, NATS_URL: NATS }, `${REDIS}?prefix=woodwork`],
  ['nats', { REDIS_URL: REDIS, NATS_URL: NATS }, `${NATS}?prefix=woodwork`],
] as const)('[W20] the type %s is what it says, whatever the environment is', (type, environment, url) => {
  expect(woodworkSettings({ type }, { ...environment, WOODWORK_ENV: 'development' }).url).toBe(url)
})

test('[W20] any other type is refused, with those there are; redis and nats need a url', () => {
  expect(faultOf({ type: 'kafka' })).toMatchObject({
    code: 'INVALID_OPTION',
    details: { field: 'type', value: '"kafka"', allowed: '"auto", "memory", "in_memory", "redis", "nats"' },
  })
  expect(faultOf({ type: 'redis' }, { NATS_URL: NATS })).toMatchObject({
    code: 'INVALID_OPTION',
    details: { field: 'redis_url' },
    message: expect.stringContaining('REDIS_URL'),
  })
  expect(faultOf({ type: 'nats' })).toMatchObject({ details: { field: 'nats_url' } })
  expect(faultOf({ type: 'redis', redis_url: NATS })).toMatchObject({ details: { field: 'redis_url' } })
  expect(faultOf({ type: 'redis' }, { REDIS_URL: 'http://x' })).toMatchObject({ details: { field: 'REDIS_URL' } })
})

test.each([
  [undefined, {}, 1_000, 2],
  [{ type: 'memory' }, {}, 10_000, 3],
  [{}, { WOODWORK_ENV: 'moon' }, 10_000, 3],
  [{ type: 'redis', redis_url: REDIS }, {}, 50_000, 5],
  [{}, { WOODWORK_ENV: 'production', REDIS_URL: REDIS }, 50_000, 5],
  [{ type: 'nats', nats_url: NATS }, {}, 100_000, 10],
  [{}, { WOODWORK_ENV: 'cloud', NATS_URL: NATS }, 100_000, 10],
  [{}, { WOODWORK_ENV: 'cloud', REDIS_URL: REDIS }, 50_000, 5],
  ['sqlite:./swarm.db', {}, 10_000, 3],
] as const)('[W23] %j in %j: a queue of %i, %i retries', (given, environment, queue, retries) => {
  const { options } = woodworkSettings(given, environment)
  expect(options).toMatchObject({
    limit: queue,
    preset: 'woodwork',
    defaults: { limit: queue, retry: { attempts: retries + 1, firstDelayMs: 2_000 } },
  })
})

test('[W23] [W24] prefix and group: given, else the environment, else woodwork and components', () => {
  const environment = { WOODWORK_STREAM_PREFIX: 'team_a', WOODWORK_CONSUMER_GROUP: 'crew', REDIS_URL: REDIS }
  expect(woodworkSettings({ type: 'redis' }, { REDIS_URL: REDIS })).toMatchObject({
    url: `${REDIS}?prefix=woodwork`,
    group: 'components',
  })
  expect(woodworkSettings({ type: 'redis' }, environment)).toMatchObject({
    url: `${REDIS}?prefix=team_a`,
    group: 'crew',
  })
  const given = { type: 'redis', stream_prefix: 'own', consumer_group: 'mine' } as const
  expect(woodworkSettings(given, environment)).toMatchObject({ url: `${REDIS}?prefix=own`, group: 'mine' })
  // What the url says itself stays.
  const long = `${NATS}?storage=memory&prefix=stated`
  expect(woodworkSettings(long, environment).url).toBe(long)
  expect(woodworkSettings({ nats_url: long, stream_prefix: 'stated' }, {}).url).toBe(long)
  expect(faultOf({ nats_url: long, stream_prefix: 'other' })).toMatchObject({
    code: 'INVALID_OPTION',
    details: { field: 'stream_prefix', value: '"other"' },
  })
  expect(faultOf({ redis_url: REDIS }, { WOODWORK_STREAM_PREFIX: 'a:b' })).toMatchObject({
    code: 'INVALID_OPTION',
    details: { field: 'stream_prefix', allowed: 'letters, digits, - and _' },
  })
})

test('[W24] a text is the url; a url given under auto decides', () => {
  expect(woodworkSettings(REDIS, {}).url).toBe(`${REDIS}?prefix=woodwork`)
  expect(woodworkSettings('sqlite:./a.db', { WOODWORK_STREAM_PREFIX: 'x' }).url).toBe('sqlite:./a.db')
  expect(woodworkSettings('memory:', {}).url).toBe('memory:')
  expect(woodworkSettings({ redis_url: REDIS }, {}).url).toBe(`${REDIS}?prefix=woodwork`)
  expect(woodworkSettings({ nats_url: NATS }, { WOODWORK_ENV: 'dev' }).url).toBe(`${NATS}?prefix=woodwork`)
})

test('[W24] dead letters live for an hour, or as long as is given', () => {
  expect(woodworkSettings(undefined, {}).options.defaults?.deadLetterMaxAgeMs).toBe(3_600_000)
  expect(woodworkSettings({ dead_letter_ttl: 0.5 }, {}).options.defaults?.deadLetterMaxAgeMs).toBe(500)
})

test.each([
  [{ typ: 'redis' }, 'typ'],
  [{ max_retries: -1 }, 'max_retries'],
  [{ max_retries: '3' }, 'max_retries'],
  [{ max_queue_size: 0 }, 'max_queue_size'],
  [{ dead_letter_ttl: 0 }, 'dead_letter_ttl'],
  [{ stream_prefix: 'a.b' }, 'stream_prefix'],
  [{ consumer_group: '' }, 'consumer_group'],
  [{ redis_url: REDIS, nats_url: NATS }, 'nats_url'],
  [{ type: 'memory', redis_url: REDIS }, 'redis_url'],
  [{ type: 'nats', nats_url: NATS, redis_url: REDIS }, 'redis_url'],
  [{ type: 'memory', fallback: 'memory:' }, 'fallback'],
  [{ redis_url: REDIS, fallback: 'mysql://x' }, 'fallback'],
  ['kafka://x', 'message_bus'],
  ['redis', 'message_bus'],
  ['', 'message_bus'],
])('[W24] %j is refused, naming %s and what is allowed', (given, field) => {
  expect(faultOf(given)).toMatchObject({ code: 'INVALID_OPTION', details: { field, allowed: expect.any(String) } })
})

test('[W24] no password stands in a refusal', () => {
  const secret = 'nats://user:hunter2@queue:4222'
  for (const given of [
    { type: 'redis', redis_url: secret },
    { type: 'memory', nats_url: secret },
    'mysql://a:hunter2@x',
  ]) {
    const fault = faultOf(given)
    expect(fault).toMatchObject({ code: 'INVALID_OPTION' })
    expect(JSON.stringify(fault)).not.toContain('hunter2')
  }
})

test('[W24] a prefix that has no effect in memory is said so', () => {
  expect(woodworkSettings({ type: 'memory', stream_prefix: 'own' }, {}).warnings).toEqual([
    expect.stringContaining('stream_prefix'),
  ])
})

test('[W20] the fallback gets the prefix, too, and is there only when it is given', () => {
  expect(woodworkSettings(REDIS, {}).options).not.toHaveProperty('fallback')
  const given = { redis_url: REDIS, stream_prefix: 'own' }
  expect(woodworkSettings({ ...given, fallback: 'memory:' }, {}).options.fallback).toBe('memory:')
  expect(woodworkSettings({ ...given, fallback: NATS }, {}).options.fallback).toBe(`${NATS}?prefix=own`)
})

/** Handles messages that always fail, and counts the attempts. */
async function attempts(given: WoodworkBusSettings, environment: Readonly<Record<string, string>>): Promise<number> {
  const env = fakeEnv()
  const { url, group, options } = woodworkSettings(given, environment)
  await using bus = await openBus(url, { ...options, env })
  let calls = 0
  const fails = (): never => {
    calls++
    throw new Error('no')
  }
  bus.subscribe(agentTopic('analytics'), fails, { group })
  const published = bus.publish(agentTopic('analytics'), {}, { until: 'handled' })
  for (let second = 0; second < 40; second++) await env.advance(1_000)
  await published
  expect((await bus.deadLetters.list()).map((letter) => letter.attempts.length)).toEqual([calls])
  return calls
}

test('[WN5] max_retries is obeyed: n retries are n + 1 attempts, and it wins over every default', async () => {
  expect(await attempts({ type: 'memory', max_retries: 1 }, {})).toBe(2)
  expect(await attempts({ max_retries: 1 }, { WOODWORK_ENV: 'moon' })).toBe(2)
  expect(await attempts({ type: 'memory', max_retries: 0 }, {})).toBe(1)
  expect(await attempts({}, {})).toBe(3)
  expect(await attempts({ type: 'memory' }, {})).toBe(4)
})

test('[W23] [W12] the queue is as long as is said: one message more is refused', async () => {
  const { url, options } = woodworkSettings({ type: 'memory', max_queue_size: 3 }, {})
  await using bus = await openBus(url, { ...options, channels: { agent: { waitMs: 0 } } })
  for (const n of [1, 2, 3]) await bus.publish(agentTopic('absent'), n)
  await expect(bus.publish(agentTopic('absent'), 4)).rejects.toMatchObject({
    code: 'QUEUE_FULL',
    details: { limit: 3 },
  })
})
