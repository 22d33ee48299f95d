import { describe, expect, test } from 'vitest'
import { load, loadIn, project } from '../../../test/ww/project.ts'
import { placeOf } from './place.ts'

const REDIS = 'redis://user:hunter2@redis.example:6379'
const NATS = 'nats://nats.example:4222'

async function place(text: string, environment: Readonly<Record<string, string>> = {}, given?: string) {
  return placeOf(await load(text, { environment }), given)
}

describe('[W22] [W23] without a bus in the file the environment decides, and the reason is told', () => {
  const both = { REDIS_URL: REDIS, NATS_URL: NATS }
  test.each([
    [{}, 'memory:', 1_000, 3, /SWARMBUS_URL is not set, WOODWORK_ENV is not set, which means development/],
    [{ ...both }, 'memory:', 1_000, 3, /development, and REDIS_URL and NATS_URL are set/],
    [{ WOODWORK_ENV: 'dev', ...both }, 'memory:', 1_000, 3, /WOODWORK_ENV is dev/],
    [{ WOODWORK_ENV: 'production', ...both }, 'redis:', 50_000, 6, /WOODWORK_ENV is production/],
    [{ WOODWORK_ENV: 'staging', REDIS_URL: REDIS }, 'redis:', 50_000, 6, /REDIS_URL is set/],
    [{ WOODWORK_ENV: 'cloud', ...both }, 'nats:', 100_000, 11, /WOODWORK_ENV is cloud/],
    [{ WOODWORK_ENV: 'cloud', REDIS_URL: REDIS }, 'redis:', 50_000, 6, /WOODWORK_ENV is cloud/],
    [{ SWARMBUS_URL: 'sqlite:x.db', WOODWORK_ENV: 'cloud', ...both }, 'sqlite:', 10_000, 4, /from SWARMBUS_URL/],
  ])('%j', async (environment, scheme, limit, attempts, why) => {
    const found = await place('out = output console {}', environment)
    expect(found.url.startsWith(scheme)).toBe(true)
    expect(found.why).toMatch(why)
    expect(found.options).toMatchObject({ limit, defaults: { limit, retry: { attempts } } })
    expect(found.shown).not.toContain('hunter2')
    expect(found.warnings).toEqual([])
  })

  test.each([
    [{ WOODWORK_ENV: 'production' }, /REDIS_URL is not set/],
    [{ WOODWORK_ENV: 'cloud' }, /neither NATS_URL nor REDIS_URL is set/],
    [{ WOODWORK_ENV: 'moon' }, /is none of/],
  ])('%j ends in memory, with a warning', async (environment, warning) => {
    const found = await place('', environment)
    expect(found.url).toBe('memory:')
    expect(found.warnings.join()).toMatch(warning)
  })

  test('the prefix and the group come from their variables, also out of .env', async () => {
    const folder = project({
      'main.ww': '',
      '.env': `WOODWORK_ENV=production\nREDIS_URL=${REDIS}\nWOODWORK_STREAM_PREFIX=mine\nWOODWORK_CONSUMER_GROUP=workers`,
    })
    const found = placeOf(await loadIn(folder), undefined)
    expect(found.url).toBe(`${REDIS}?prefix=mine`)
    expect(found.group).toBe('workers')
  })
})

describe('[W20] [W24] what the file declares wins over the environment', () => {
  test('every option has its effect', async () => {
    const found = await place(
      `\nmessage_bus = redis { redis_url: $WHERE, stream_prefix: "own", consumer_group: "team", max_retries: 1, dead_letter_ttl: 60 }`,
      { WHERE: REDIS, SWARMBUS_URL: 'sqlite:x.db' },
    )
    expect(found.url).toBe(`${REDIS}?prefix=own`)
    expect(found.why).toBe('declared at main.ww:2')
    expect(found.group).toBe('team')
    expect(found.options.defaults).toMatchObject({ retry: { attempts: 2 }, deadLetterMaxAgeMs: 60_000 })
  })

  test.each([
    ['message_bus = memory {}', 'memory:'],
    ['bus = in_memory {}', undefined],
    ['message_bus = message_bus in_memory {}', 'memory:'],
    [`message_bus = nats { nats_url: "${NATS}" }`, `${NATS}?prefix=woodwork`],
    [`here = local { message_bus = redis { redis_url = "${REDIS}" } }`, `${REDIS}?prefix=woodwork`],
    [`here = local { message_bus = "${REDIS}" }`, `${REDIS}?prefix=woodwork`],
  ])('%s', async (text, url) => {
    const loaded = await load(text)
    if (url === undefined) expect(loaded.valid).toBe(false)
    else expect(placeOf(loaded, undefined).url).toBe(url)
  })

  test('a file of sqlite lies beside the .ww file', async () => {
    const folder = project({ 'main.ww': 'message_bus = sqlite { path: "data/swarm.db" }' })
    expect(placeOf(await loadIn(folder), undefined).url).toBe(`sqlite:${folder}/data/swarm.db`)
  })

  test('a bus that leaves it to the environment keeps its limits', async () => {
    const text = 'message_bus = auto { max_retries: 7 }'
    const found = await place(text, { SWARMBUS_URL: 'sqlite:x.db' })
    expect(found.why).toBe('from SWARMBUS_URL')
    expect(found.options.defaults).toMatchObject({ retry: { attempts: 8 } })
    expect((await place(text)).options.defaults).toMatchObject({ retry: { attempts: 8 } })
  })

  test('policies of channels are those of `openBus`, wherever the bus is; wrong ones are told with their place', async () => {
    const text = (channels: string): string => `message_bus = memory { channels: ${channels} }`
    const found = await place(
      text(
        '{ chatter: { kept: false }, tasks = { ack_wait: "5s", max_age: 60, max_count: 10, topics: ["jobs.>"], order: "strict" } }',
      ),
      {},
      'sqlite:x.db',
    )
    expect(found.options.channels).toEqual({
      chatter: { kept: false },
      tasks: {
        ackWaitMs: 5_000,
        retention: { maxAgeMs: 60_000, maxCount: 10 },
        topics: ['jobs.>'],
        order: 'strict',
      },
    })
    for (const wrong of [
      '{ tasks: 5 }',
      '{ tasks: { kpet: true } }',
      '{ tasks: { kept: 5 } }',
      '{ tasks: { order: "x" } }',
    ]) {
      await expect(place(text(wrong))).rejects.toThrow(/^main\.ww:1:1: "channels": /)
    }
  })

  test('a url that is given wins over everything, and limits of the file hold', async () => {
    const found = await place('message_bus = redis { redis_url: "redis://x", max_retries: 0 }', {}, 'sqlite:other.db')
    expect([found.url, found.why]).toEqual(['sqlite:other.db', 'given'])
    expect(found.options.defaults).toMatchObject({ retry: { attempts: 1 } })
  })

  test('what cannot be is CONFIG_INVALID with the place, and without a password', async () => {
    const loaded = await load(`here = local { message_bus = "http://user:hunter2@x" }`)
    expect(() => placeOf(loaded, undefined)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
    try {
      placeOf(loaded, undefined)
    } catch (error) {
      expect(String(error)).toContain('main.ww:1:30')
      expect(String(error)).not.toContain('hunter2')
    }
    const two = await load('a = bus memory {}\nb = bus memory {}')
    expect(two.diagnostics.map(({ code, line }) => [code, line])).toEqual([['second-bus', 2]])
  })
})

describe('[C64] the settings of Cortex as a preset', () => {
  test('every one has its effect, and the environment wins', async () => {
    const text =
      'message_bus = cortex { redis_addr: "10.0.0.5:6379", redis_db: 2, redis_password: "hunter2", enable_dlq: false }'
    const found = await place(text)
    expect(found.url).toBe('redis://:hunter2@10.0.0.5:6379/2?prefix=cortex')
    expect(found.shown).not.toContain('hunter2')
    expect([found.group, found.options]).toEqual(['agents', { preset: 'cortex', defaults: { deadLetters: false } }])
    const other = await place(text, { GATEWAY_REDIS_ADDR: '10.0.0.6:6379' })
    expect(other.url).toContain('10.0.0.6')
    expect(other.warnings).toHaveLength(1)
    expect((await place('message_bus = cortex { use_redis: false }')).url).toBe('memory:')
    expect((await place('message_bus = cortex {}', { GATEWAY_USE_REDIS: 'false' })).url).toBe('memory:')
  })

  test.each([
    'message_bus = cortex { enabled: false }',
    'message_bus = cortex { websocket_port: 8080 }',
    'message_bus = cortex { redis_addr: "a b" }',
  ])('%s is refused with its place', async (text) => {
    await expect(place(text)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/^main\.ww:1:1: /),
    })
  })
})

test('a url that is none is told of by where it stands', async () => {
  const fault = async (text: string, environment: Readonly<Record<string, string>> = {}, given?: string) =>
    place(text, environment, given).then(String, ({ message }: Error) => message)
  expect(await fault('', {}, 'moon://x')).toMatch(/^the url of the bus is "moon:\/\/x"; allowed: a url of memory/)
  expect(await fault('', { SWARMBUS_URL: 'moon://x' })).toMatch(/^SWARMBUS_URL is "moon:\/\/x"; allowed/)
  expect(await fault('in = input command_line { message_bus: "moon://x" }')).toMatch(
    /^main\.ww:1:\d+: "message_bus" is "moon:\/\/x"; allowed/,
  )
})
