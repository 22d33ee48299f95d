import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createSwarm, currentComponent } from '../../src/component/index.ts'
import { createBus, openBus } from '../../src/index.ts'
import { circuitBreaker } from '../../src/reliability/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { memoryHub, memoryWire } from '../../src/wire/index.ts'
import { sink, swarmOf } from './support/components.ts'
import { faultOf, gate } from './support/woodwork.ts'

const QUICK = { defaults: { retry: { attempts: 3, firstDelayMs: 5 } } } as const

test('with a log, a handler that is tried again emits the same again, and its targets get it once', async () => {
  const heard: unknown[] = []
  let tries = 0
  await using bus = await openBus('memory:', QUICK)
  await using swarm = createSwarm({ bus })
  const source = await swarm.add({ name: 'in', role: 'input', to: 'mid' })
  const mid = await swarm.add({
    name: 'mid',
    to: ['out'],
    async handle() {
      await mid.emit('result_ready', 'first')
      await mid.emit('result_ready', 'second')
      if (++tries < 3) throw new Error('not yet')
      return 'last'
    },
  })
  await swarm.add(sink('out', heard))
  await swarm.start()
  await source.emit('input_received', 1, { session: 's' })
  await swarm.idle()
  expect(tries).toBe(3)
  expect(heard).toEqual(['first', 'second', 'last'])
  expect(await bus.deadLetters.count()).toBe(0)
})

test('with a log whose agents are live, routing works as without one', async () => {
  const heard: unknown[] = []
  await using bus = await openBus('memory:', { channels: { agent: { kept: false } } })
  await using swarm = createSwarm({ bus })
  const source = await swarm.add({ name: 'in', role: 'input', to: 'mid' })
  await swarm.add({ name: 'mid', to: 'out', handle: ({ data }) => data })
  await swarm.add(sink('out', heard))
  await swarm.start()
  for (let n = 0; n < 3; n++) await source.emit('input_received', n)
  await swarm.idle()
  expect(heard).toEqual([0, 1, 2])
})

test('[WN16] with a log a message whose tries are used up is a dead letter, and the swarm tells of it once', async () => {
  const told: string[] = []
  await using bus = await openBus('memory:', QUICK)
  await using swarm = createSwarm({ bus, onFault: ({ type, message }) => told.push(`${type}: ${message}`) })
  const source = await swarm.add({ name: 'in', role: 'input', to: 'bad' })
  await swarm.add({ name: 'bad', handle: () => Promise.reject(new Error('broken')) })
  await swarm.start()
  await source.emit('input_received', 'x')
  await swarm.idle()
  await expect.poll(() => told).toEqual(['component: "bad" failed (handler-error): Error: broken'])
  expect(await bus.deadLetters.list()).toMatchObject([{ message: { data: 'x', from: 'in', to: 'bad' } }])
  expect(swarm.stats().components.bad?.handlingFailures).toBe(3)
  expect((await faultOf(swarm.component('in').request('bad', 1))).code).toBe('HANDLER_FAILED')
  await swarm.idle()
  expect(told).toHaveLength(1)
})

test('[W78] what was kept in a file for a component is handled by the swarm of the next process', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'swarm-'))
  try {
    const heard: unknown[] = []
    const url = `sqlite:${join(folder, 'swarm.db')}`
    {
      await using bus = await openBus(url)
      await using swarm = createSwarm({ bus })
      const source = await swarm.add({ name: 'in', role: 'input', to: 'out' })
      await swarm.add({ name: 'out', role: 'output', handle: () => undefined })
      await swarm.start()
      await swarm.remove('out')
      bus.declare('out')
      await source.emit('input_received', 'kept', { session: 's1' })
    }
    await using bus = await openBus(url)
    await using swarm = createSwarm({ bus })
    await swarm.add({
      name: 'out',
      role: 'output',
      handle: ({ data, session, from }) => void heard.push([data, session, from]),
    })
    await swarm.start()
    await expect.poll(() => heard).toEqual([['kept', 's1', 'in']])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('components of two processes send to, ask and stream to each other', async () => {
  const env = fakeEnv()
  const hub = memoryHub(env)
  await using here = createBus({ env, wire: memoryWire(hub) })
  await using there = createBus({ env, wire: memoryWire(hub) })
  await Promise.all([env.advance(1_000), here.ready, there.ready])
  const heard: unknown[] = []
  await using a = createSwarm({ bus: here, env })
  await using b = createSwarm({ bus: there, env })
  const source = await a.add({ name: 'in', role: 'input', to: ['brain', 'nobody'] })
  await b.add({ name: 'brain', role: 'agent', to: 'out', handle: ({ data }) => `${String(data)}!` })
  await b.add({
    name: 'teller',
    async *handle() {
      yield 'a'
      yield 'b'
    },
  })
  await a.add({
    name: 'out',
    role: 'output',
    handle: ({ data, from, session }) => void heard.push([data, from, session]),
  })
  await Promise.all([a.start(), b.start()])
  await env.settle()
  expect(a.routes.validate().issues.map((one) => one.component)).toEqual(['in'])
  const sent = source.emit('input_received', 'hi', { session: 's' })
  await env.settle()
  expect(await sent).toMatchObject({ delivered: ['brain'], failed: [{ target: 'nobody' }] })
  await env.settle()
  expect(heard).toEqual([['hi!', 'brain', 's']])
  const asked = source.request('teller', 1)
  await env.settle()
  expect(await asked).toBe('ab')
  const parts: unknown[] = []
  const reading = (async () => {
    for await (const { data, final } of source.requestStream('teller', 1)) parts.push(final ? 'end' : data)
  })()
  await env.settle()
  await reading
  expect(parts).toEqual(['a', 'b', 'end'])
})

test('a stop waits for hooks that still run', async () => {
  const open = gate()
  let written = false
  const r = await swarmOf([{ name: 'a' }])
  r.swarm.component('a').hook('x', async () => {
    await open.opened
    written = true
  })
  await r.swarm.component('a').emit('x', 1)
  const stopped = r.swarm.stop()
  await r.env.settle()
  expect(r.swarm.state).toBe('stopping')
  open.open()
  await stopped
  expect(written).toBe(true)
  await r.bus.close()
})

test("what is added while the swarm runs brings the console it needs, works on nobody's behalf, and leaves nothing when it fails", async () => {
  const printed: unknown[] = []
  const behalf: unknown[] = []
  const { createCatalog } = await import('../../src/component/index.ts')
  const catalog = createCatalog([
    {
      kind: 'output console',
      role: 'output',
      summary: 'prints',
      keys: {},
      make: () => ({ handle: ({ data }) => void printed.push(data) }),
    },
  ])
  await using r = await swarmOf(
    [
      {
        name: 'maker',
        async handle() {
          await r.swarm.add({
            name: 'brain',
            role: 'agent',
            start: () => void behalf.push(currentComponent()),
            handle: ({ data }) => data,
          })
        },
      },
    ],
    { catalog },
  )
  await r.bus.send('maker', 1, { session: 's' })
  await r.swarm.idle()
  expect(r.bus.failures()).toEqual([])
  await r.bus.send('brain', 'hello')
  await r.swarm.idle()
  expect([printed, behalf]).toEqual([['hello'], [undefined]])
  const failing = { name: 'failing', start: () => Promise.reject(new Error('no')) }
  expect((await faultOf(r.swarm.add(failing))).code).toBe('START_FAILED')
  expect(r.swarm.components().map((one) => one.name)).toEqual(['maker', 'brain', 'console'])
})

test('middleware goes around what a component does: a circuit breaker rests after five failures', async () => {
  let calls = 0
  const breaker = circuitBreaker({ failures: 5, restMs: 60_000 })
  await using r = await swarmOf([
    { name: 'me' },
    {
      name: 'tool',
      middleware: [breaker.middleware],
      handle() {
        calls++
        throw new Error('down')
      },
    },
  ])
  const me = r.swarm.component('me')
  const codes: string[] = []
  for (let n = 0; n < 7; n++) codes.push((await faultOf(me.request('tool', n))).message)
  expect(calls).toBe(5)
  expect(codes.slice(5).every((message) => /circuit|open/i.test(message))).toBe(true)
})
