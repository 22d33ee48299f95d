import { expect, test } from 'vitest'
import { openBus } from '../node.ts'
import { type CortexMessaging, type CortexSettings, cortexSettings } from './cortex.ts'

type Given = CortexMessaging | undefined

function faultOf(given: unknown, environment: Readonly<Record<string, string>> = {}): object {
  try {
    cortexSettings(given as Given, environment)
  } catch (error) {
    return { code: (error as { code: string }).code, message: (error as Error).message, ...(error as object) }
  }
  return { code: 'none' }
}

function on(settings: CortexSettings): Extract<CortexSettings, { enabled: true }> {
  if (!settings.enabled) throw new Error('it is not enabled')
  return settings
}

test('[C64] nothing said: Redis on this machine, prefix cortex, group agents', () => {
  const settings = on(cortexSettings(undefined, {}))
  expect(settings).toMatchObject({ url: 'redis://localhost:6379/0?prefix=cortex', group: 'agents', warnings: [] })
  expect(settings.options).toMatchObject({ preset: 'cortex', defaults: { deadLetters: true } })
})

test.each([
  [{ redis_addr: '10.0.0.5:6379' }, 'redis://10.0.0.5:6379/0?prefix=cortex'],
  [{ redis_addr: '10.0.0.5' }, 'redis://10.0.0.5/0?prefix=cortex'],
  [{ redis_addr: '[::1]:6380' }, 'redis://[::1]:6380/0?prefix=cortex'],
  [{ redis_db: 3 }, 'redis://localhost:6379/3?prefix=cortex'],
  [{ redis_password: '' }, 'redis://localhost:6379/0?prefix=cortex'],
  [{ redis_password: 'p@ss:w/rd?' }, 'redis://:p%40ss%3Aw%2Frd%3F@localhost:6379/0?prefix=cortex'],
  [{ redis_addr: 'rediss://u:p@far:6379/2' }, 'rediss://u:p@far:6379/2?prefix=cortex'],
  [
    { redis_addr: 'redis+sentinel://a,b/main?prefix=old&replicas=1' },
    'redis+sentinel://a,b/main?prefix=old&replicas=1',
  ],
])('[C64] %j is reached at %s', (given, url) => {
  expect(on(cortexSettings(given, {})).url).toBe(url)
})

test('[C64] [CN11] address, password and database reach the client as they were given', async () => {
  const { parseRedisUrl } = await import('../../broker/redis/address.ts')
  const { readBackendUrl } = await import('../url.ts')
  const given = { redis_addr: 'queue:7000', redis_password: 'a b%2F:@/?#', redis_db: 12 }
  expect(parseRedisUrl(readBackendUrl(on(cortexSettings(given, {})).url).address)).toMatchObject({
    places: [{ host: 'queue', port: 7_000 }],
    password: 'a b%2F:@/?#',
    database: 12,
  })
})

test('[C64] the environment wins, and says so where it differs', () => {
  const given = { enabled: true, redis_addr: 'a:1', use_redis: true }
  const settings = on(cortexSettings(given, { GATEWAY_REDIS_ADDR: 'b:2' }))
  expect(settings.url).toBe('redis://b:2/0?prefix=cortex')
  expect(settings.warnings).toEqual([expect.stringContaining('GATEWAY_REDIS_ADDR is b:2')])
  expect(on(cortexSettings(given, { GATEWAY_REDIS_ADDR: 'a:1' })).warnings).toEqual([])
  expect(cortexSettings(given, { GATEWAY_MESSAGING_ENABLED: 'false' })).toMatchObject({
    enabled: false,
    warnings: [expect.stringContaining('GATEWAY_MESSAGING_ENABLED')],
  })
  expect(cortexSettings({ enabled: false }, { GATEWAY_MESSAGING_ENABLED: '1' }).enabled).toBe(true)
  expect(on(cortexSettings({ use_redis: false }, { GATEWAY_USE_REDIS: 'TRUE' })).url).toContain('redis://')
  expect(on(cortexSettings({}, { GATEWAY_USE_REDIS: 'f' })).url).toBe('memory:')
})

test('[C64] [CN11] enabled: false leaves nothing to be opened', () => {
  expect(cortexSettings({ enabled: false }, {})).toEqual({ enabled: false, warnings: [] })
})

test('[C64] [C32] use_redis: false is memory, with a warning, and names what is not used', () => {
  const settings = on(cortexSettings({ use_redis: false, redis_db: 2, redis_password: 'hunter2' }, {}))
  expect(settings.url).toBe('memory:')
  expect(settings.warnings.join('\n')).toMatch(/nothing outlives this process/)
  expect(settings.warnings.filter((text) => text.includes('is not used'))).toHaveLength(2)
  expect(settings.warnings.join('\n')).not.toContain('hunter2')
})

test('[C64] [CN11] enable_dlq: false keeps no dead letters; true keeps them', async () => {
  for (const enable_dlq of [true, false]) {
    const { url, options, group } = on(cortexSettings({ use_redis: false, enable_dlq }, {}))
    const retry = { delaysMs: [] }
    await using bus = await openBus(url, { ...options, defaults: { ...options.defaults, retry } })
    bus.subscribe('tasks.coding', () => Promise.reject(new Error('no')), { group })
    await bus.publish('tasks.coding', {}, { until: 'handled' })
    expect(await bus.deadLetters.count()).toBe(enable_dlq ? 1 : 0)
  }
})

test('[C64] [CN11] what is always so may be asked for: true of enable_metrics and priority_processing', async () => {
  const asked = { use_redis: false, enable_metrics: true, priority_processing: true }
  const { url, options, group } = on(cortexSettings(asked, {}))
  await using bus = await openBus(url, { ...options, autoStart: false })
  const seen: unknown[] = []
  bus.subscribe('tasks.coding', ({ data }) => void seen.push(data), { group, concurrency: 1 })
  const done = [
    bus.publish('tasks.coding', 'low', { priority: 'low', until: 'handled' }),
    bus.publish('tasks.coding', 'critical', { priority: 'critical', until: 'handled' }),
  ]
  bus.start()
  await Promise.all(done)
  expect(seen).toEqual(['critical', 'low'])
  expect(bus.stats()).toMatchObject({ messages: 2, latency: { count: 2 } })
})

test.each([
  [{ websocket_port: 18_889 }, 'websocket_port'],
  [{ heartbeat_interval: '30s' }, 'heartbeat_interval'],
  [{ enable_metrics: false }, 'enable_metrics'],
  [{ priority_processing: false }, 'priority_processing'],
])('[C64] [CN11] %j has no effect here and is refused by name', (given, field) => {
  expect(faultOf(given)).toMatchObject({
    code: 'UNSUPPORTED',
    details: { field },
    message: expect.stringContaining(`"${field}"`),
  })
})

test.each([
  [{ redis_adr: 'x' }, {}, 'redis_adr'],
  [{ redis_db: -1 }, {}, 'redis_db'],
  [{ redis_db: '1' }, {}, 'redis_db'],
  [{ enabled: 'yes' }, {}, 'enabled'],
  [{ redis_addr: 'a b' }, {}, 'redis_addr'],
  [{ redis_addr: 'http://x' }, {}, 'redis_addr'],
  [{ redis_addr: 'nats://x' }, {}, 'redis_addr'],
  [{ redis_addr: 'redis://a', redis_password: 'hunter2' }, {}, 'redis_password'],
  [{ redis_addr: 'redis://a', redis_db: 1 }, {}, 'redis_db'],
  [{}, { GATEWAY_USE_REDIS: 'perhaps' }, 'GATEWAY_USE_REDIS'],
  [{}, { GATEWAY_MESSAGING_ENABLED: 'oui' }, 'GATEWAY_MESSAGING_ENABLED'],
  [{}, { GATEWAY_REDIS_ADDR: ':::' }, 'GATEWAY_REDIS_ADDR'],
])('[C64] %j with %j is refused, naming %s', (given, environment, field) => {
  const fault = faultOf(given, environment)
  expect(fault).toMatchObject({ code: 'INVALID_OPTION', details: { field, allowed: expect.any(String) } })
  expect(JSON.stringify(fault)).not.toContain('hunter2')
})
