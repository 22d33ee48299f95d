import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { type BusOptions, createBus } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { importsOf, ROOT, sourcesIn } from '../architecture/source.ts'
import { collector, LATE_MS, thrownBy, watched } from './support/zejzl.ts'

const run = promisify(execFile)

test('[Z1] a bus needs nothing installed: only the program has a dependency, and the main door reaches only own and Node files', () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<string, object | undefined>
  expect(Object.keys(manifest.dependencies ?? {})).toEqual(['commander'])
  expect(Object.keys(manifest.optionalDependencies ?? {})).toEqual([])
  const optional = Object.entries(manifest.peerDependenciesMeta ?? {}).filter(([, one]) => one.optional === true)
  expect(Object.keys(manifest.peerDependencies ?? {})).toEqual(optional.map(([name]) => name))

  const sources = new Map(sourcesIn('src').map((source) => [source.path, source]))
  const reached = new Set(['src/index.ts'])
  const foreign: string[] = []
  for (const path of reached) {
    const source = sources.get(path)
    if (source === undefined) throw new Error(`${path} is imported and does not exist`)
    for (const { specifier, target } of importsOf(source)) {
      // What is loaded on demand only: backends, and what keeps messages.
      if (source.text.includes(`import('${specifier}')`)) continue
      if (target !== undefined) reached.add(target)
      else if (!specifier.startsWith('node:')) foreign.push(`${path}: ${specifier}`)
    }
  }
  expect(foreign).toEqual([])
  expect(reached.size).toBeGreaterThan(10)
})

test('[Z1] a bus works right after construction in a process that may load no add-on and read nothing but its source', async () => {
  const script = `
    import { createBus } from ${JSON.stringify(pathToFileURL(join(ROOT, 'src/index.ts')).href)}
    const bus = createBus()
    bus.register('b', { handler: (message) => message.data.n + 1 })
    const answer = await bus.register('a').request('agent.b', { n: 1 })
    await bus.close()
    console.log(answer.data)`
  const source = join(ROOT, 'src')
  const args = ['--permission', `--allow-fs-read=${source}`, `--allow-fs-read=${join(ROOT, 'package.json')}`]
  const { stdout } = await run(process.execPath, [...args, '--no-warnings', '--input-type=module', '-e', script])
  expect(stdout.trim()).toBe('2')
})

test('[Z1] several buses of one process share nothing: names, topics, figures, history, failures, life', async () => {
  const one = createBus({ name: 'one', history: 5 })
  const two = createBus({ name: 'two' })
  const heard = { one: collector(), two: collector() }
  one.subscribe('talk.*', heard.one.handler)
  two.subscribe('talk.*', heard.two.handler)
  const a1 = one.register('a')
  const a2 = two.register('a')
  one.subscribe('broken.*', () => {
    throw new Error('on one only')
  })
  await one.publish('talk.x', 1)
  await one.publish('broken.x', 1)
  await one.send('a', 'for the one')
  expect((await a1.receive()).data).toBe('for the one')
  await one.idle()
  expect(one.failures()).toHaveLength(1)
  expect(heard.one.got.map((message) => message.data)).toEqual([1])
  expect(heard.two.got).toEqual([])
  expect([two.stats().messages, two.history().length, two.failures().length, two.queueSize('a')]).toEqual([0, 0, 0, 0])
  expect(one.stats().messages).toBe(3)
  expect(two.stats().config.history).toBe(100)

  await one.close()
  expect(a2.registered).toBe(true)
  await two.send('a', 'still there')
  expect((await a2.receive()).data).toBe('still there')
  await two.close()
})

test('[Z2] the preset "zejzl" has 30 000 ms for receive and request, 100 entries of history and 1 000 handlers', async () => {
  const env = fakeEnv()
  const bus = createBus({ env, preset: 'zejzl' })
  expect(bus.stats().config).toMatchObject({
    receiveTimeoutMs: 30_000,
    requestTimeoutMs: 30_000,
    history: 100,
    maxHandlers: 1_000,
  })
  const a = bus.register('a')
  bus.register('b')
  const waits = [watched(a.receive()), watched(a.request('agent.b', 'never answered'))]
  await env.advance(29_999)
  expect(waits.map((one) => one.state)).toEqual(['pending', 'pending'])
  await env.advance(1 + LATE_MS)
  expect(waits.map((one) => one.error)).toMatchObject([{ code: 'RECEIVE_TIMEOUT' }, { code: 'REQUEST_TIMEOUT' }])
  for (let n = 0; n < 120; n++) await bus.publish('some.topic', n)
  expect(bus.history()).toHaveLength(100)

  const running = collector()
  const busy = async (): Promise<void> => {
    running.handler(undefined as never)
    await new Promise(() => undefined)
  }
  bus.subscribe('work.*', busy, { concurrency: 2_000 })
  for (let n = 0; n < 1_001; n++) await bus.publish('work.x', n)
  await env.settle()
  expect(running.got).toHaveLength(1_000)
})

test('[Z2] an option that is given wins over the preset, and a missing one over nothing', () => {
  const bus = createBus({ preset: 'zejzl', requestTimeoutMs: 7, history: undefined as never })
  expect(bus.stats().config).toMatchObject({ requestTimeoutMs: 7, receiveTimeoutMs: 30_000, history: 100 })
})

const BAD_MS = [-1, Number.NaN, Number.POSITIVE_INFINITY, '5', null, true]

/** For each option, values of a wrong type or out of its range. */
const WRONG: Readonly<Record<string, readonly unknown[]>> = {
  name: ['', 5, null],
  preset: ['zejzls', '', 1, 'constructor'],
  env: [5, {}],
  requestTimeoutMs: [...BAD_MS, 0],
  receiveTimeoutMs: BAD_MS,
  handlerTimeoutMs: [...BAD_MS, 0],
  drainMs: BAD_MS,
  ttlMs: [-1, 0, Number.NaN, '5', null],
  maxHandlers: [0, -1, 1.5, Number.POSITIVE_INFINITY, '9'],
  maxHops: [0, 1_001, 1.5, '9'],
  overtaking: [0, -1, 1.5, Number.POSITIVE_INFINITY, '9'],
  payload: ['clone', 1],
  maxPayloadBytes: [0, 1.5, '9'],
  warnPayloadBytes: [0, 1.5, '9'],
  history: [-1, 1.5, Number.NaN, '100', 1_000_001],
  historyData: ['true', 1],
  failures: [-1, 1.5, '9'],
  replyPriority: ['highest', 1],
  broadcastPriority: ['same', 1],
  unknownAgent: ['ignore', true],
  onCycle: ['ignore', true],
  autoStart: ['false', 0],
  beforeStart: ['ignore', true],
  healthWindowMs: [...BAD_MS, 999],
  healthFailures: [-1, 1.5, '9'],
  topics: ['a.b', {}, [5]],
  onFailure: ['print', {}],
  onStrayAnswer: ['print', {}],
  limit: [0, -1, 1.5, Number.NaN, '9'],
  overflow: ['block', '', 1],
  waitMs: BAD_MS,
  highWater: [0, 1.1, '0.8', Number.NaN],
  lowWater: [0, 0.8, 0.9, '0.5'],
}

test.each(Object.keys(WRONG))('[Z2] a wrong "%s" is refused at construction, naming the option', (field) => {
  for (const value of WRONG[field] ?? []) {
    const error = thrownBy(() => createBus({ [field]: value } as unknown as BusOptions))
    expect(
      [error.code, error.details.field, error.message.includes(`"${field}"`)],
      `${field}: ${String(value)}`,
    ).toEqual(['INVALID_OPTION', field, true])
  }
})

test('[Z2] every option there is has its wrong values in this test, and an option that does not exist is refused', () => {
  const known = Object.keys(createBus().stats().config)
  expect(known.filter((field) => WRONG[field] === undefined)).toEqual([])
  const error = thrownBy(() => createBus({ requestTimeout: 5 } as BusOptions))
  expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { field: 'requestTimeout' } })
  expect(thrownBy(() => createBus(null as unknown as BusOptions)).code).toBe('INVALID_OPTION')
})
