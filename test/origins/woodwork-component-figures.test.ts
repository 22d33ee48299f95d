import { expect, test } from 'vitest'
import {
  type ComponentEntry,
  componentPool,
  componentRegistry,
  createSessions,
  createSwarm,
  PERFORMANCE_EVENT,
  type Performance,
  wantedInstances,
} from '../../src/component/index.ts'
import { createBus } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { memoryHub, memoryWire } from '../../src/wire/index.ts'
import { sink, swarmOf } from './support/components.ts'
import { faultIn, gate } from './support/woodwork.ts'

test('[W32] the figures of a component: sent, received, events routed, faults of all kinds, and its state', async () => {
  await using r = await swarmOf([
    { name: 'in', role: 'input', to: ['mid', 'gone'] },
    { name: 'mid', kind: 'tool', to: 'out', handle: ({ data }) => data },
    sink('out', []),
  ])
  const source = r.swarm.component('in')
  for (let n = 0; n < 3; n++) await source.emit('input_received', n)
  await source.request('mid', 1)
  await r.swarm.idle()
  const { components, active, router, health } = r.swarm.stats()
  expect(components.in).toMatchObject({
    emitted: 3,
    routed: 3,
    sent: 3,
    routeFailures: 3,
    requests: 1,
    targets: ['mid', 'gone'],
  })
  expect(components.mid).toMatchObject({
    kind: 'tool',
    state: 'active',
    received: 4,
    sent: 3,
    queued: 0,
    running: 0,
    lastAt: r.env.wallMs(),
    costs: { handled: 4 },
    handling: { count: 4 },
  })
  expect(components.out).toMatchObject({ received: 3, sent: 0, emitted: 0 })
  expect([active, router.messagesRouted, router.routingFailures, health.status]).toEqual([3, 6, 3, 'healthy'])
})

test('[W85] each handling is told as metrics.component_performance, and costs add up by session', async () => {
  const told: [string, string | undefined, Performance][] = []
  await using r = await swarmOf([
    {
      name: 'llm',
      to: 'out',
      async handle({ data }) {
        const own = r.swarm.component('llm')
        own.measure({ tokens: 10, cost: 0.25, custom: { cached: 1 } })
        await r.env.advance(20)
        own.measure({ tokens: 5, custom: { cached: 2, __proto__x: 1 } })
        return data
      },
    },
    { name: 'out', handle: () => r.swarm.component('out').measure({ cost: 1 }) },
  ])
  r.swarm.on(PERFORMANCE_EVENT, (payload, { component, session }) => {
    told.push([component, session, payload as Performance])
  })
  for (const session of ['s1', 's1', 's2']) {
    await r.bus.send('llm', 'x', { session })
    await r.swarm.idle()
  }
  expect(told.map(([component, session]) => `${component} ${session}`).toSorted()).toEqual([
    'llm s1',
    'llm s1',
    'llm s2',
    'out s1',
    'out s1',
    'out s2',
  ])
  const first = told.find(([component]) => component === 'llm')?.[2]
  expect(first).toMatchObject({
    tokens_processed: 15,
    cost_estimate: 0.25,
    custom_metrics: { cached: 3, __proto__x: 1 },
    component_id: 'llm',
    session_id: 's1',
  })
  expect(first?.processing_time_ms).toBeGreaterThanOrEqual(20)
  expect(first?.memory_usage_mb).toBeGreaterThan(1)
  expect(r.swarm.costs('s1')).toMatchObject({ handled: 4, tokens: 30, cost: 2.5, custom: { cached: 6 } })
  expect(r.swarm.costs('s2')).toMatchObject({ handled: 2, tokens: 15, cost: 1.25 })
  expect(r.swarm.costs('s3')).toBeUndefined()
  expect(r.swarm.stats().components.llm?.costs).toMatchObject({ handled: 3, tokens: 45, cost: 0.75 })
  expect(Object.keys(r.swarm.stats().sessions)).toEqual(['s1', 's2'])
})

test('[W81] the components of all processes are found by type, capability, session, event and state', async () => {
  const env = fakeEnv()
  const hub = memoryHub(env)
  await using here = createBus({ env, wire: memoryWire(hub) })
  await using there = createBus({ env, wire: memoryWire(hub) })
  await Promise.all([env.advance(1_000), here.ready, there.ready])
  using registry = componentRegistry({ bus: here, env })
  const changes: string[] = []
  const onChange = (entry: ComponentEntry, change: string): void =>
    void changes.push(`${change} ${entry.name} ${entry.state}`)
  const own = registry.register({
    name: 'coder',
    type: 'agent',
    capabilities: ['ts'],
    inputs: ['task'],
    sessions: ['s1'],
  })
  const other = registry.register({ name: 'tester', type: 'agent', state: 'ready', capabilities: ['ts', 'qa'] })
  await env.settle()
  // It came later: it asks, and is told.
  using second = componentRegistry({ bus: there, env, onChange })
  await env.settle()
  expect(changes).toEqual(['entered coder initializing', 'entered tester ready'])
  expect(second.get(own.id)).toMatchObject({
    name: 'coder',
    type: 'agent',
    maxConcurrent: 10,
    load: 0,
  })
  own.update({ state: 'active', load: 4 })
  await env.settle()
  const names = (query: Parameters<typeof second.find>[0]) => second.find(query).map((one) => one.name)
  expect(names({ type: 'agent' })).toEqual(['tester', 'coder'])
  expect([names({ capability: 'qa' }), names({ capability: 'ts', state: 'active' })]).toEqual([['tester'], ['coder']])
  expect([names({ session: 's1' }), names({ session: 's2' })]).toEqual([['coder', 'tester'], ['tester']])
  expect([names({ input: 'task' }), names({ type: 'tool' })]).toEqual([['coder'], []])
  other.end()
  await env.settle()
  expect(changes.slice(2)).toEqual(['changed coder active', 'gone tester terminated'])
  expect(faultIn(() => registry.register({ id: own.id, name: 'x', type: 'y' })).code).toBe('AGENT_EXISTS')
  expect(faultIn(() => own.update({ load: -1 })).code).toBe('INVALID_OPTION')
})

test('[W81] a sign of life comes every 30 s; after 90 s without one a component counts as failed, after 120 s it is forgotten', async () => {
  const env = fakeEnv()
  const hub = memoryHub(env)
  await using here = createBus({ env, wire: memoryWire(hub) })
  await using there = createBus({ env, wire: memoryWire(hub) })
  await Promise.all([env.advance(1_000), here.ready, there.ready])
  const registry = componentRegistry({ bus: here, env })
  const changes: string[] = []
  using second = componentRegistry({
    bus: there,
    env,
    onChange: ({ state }, change) => changes.push(`${change} ${state}`),
  })
  const { id } = registry.register({ name: 'coder', type: 'agent', state: 'active' })
  await env.settle()
  await env.advance(600_000)
  expect(second.get(id)).toMatchObject({ state: 'active' })
  expect((second.get(id)?.seenAt ?? 0) > env.wallMs() - 30_100).toBe(true)
  const seenAt = second.get(id)?.seenAt ?? 0
  await here.stop({ limitMs: 0 })
  await env.advance(seenAt + 89_900 - env.wallMs())
  expect(second.get(id)?.state).toBe('active')
  await env.advance(200)
  expect(second.get(id)?.state).toBe('failed')
  expect([second.find(), second.find({ state: 'failed' }).length]).toEqual([[], 1])
  await env.advance(30_000)
  expect([second.get(id), second.list()]).toEqual([undefined, []])
  await env.advance(60_000)
  expect(changes.at(-1)).toMatch(/^gone/)
  registry[Symbol.dispose]()
})

test('[W81] a swarm enters its components, and keeps their states', async () => {
  const env = fakeEnv()
  await using bus = createBus({ env })
  using registry = componentRegistry({ bus, env })
  const ready = gate()
  const swarm = createSwarm({ bus, env, registry })
  await swarm.add({ name: 'brain', kind: 'agent x', role: 'agent', capabilities: ['think'], start: () => ready.opened })
  const started = swarm.start()
  await env.settle()
  expect(registry.list()).toEqual([])
  ready.open()
  await started
  expect(registry.find({ capability: 'think' })).toMatchObject([{ name: 'brain', type: 'agent x', state: 'active' }])
  await swarm.stop()
  expect(registry.list()).toEqual([])
})

test('[W83] sessions have ids that cannot be guessed, the chain of their components, a time limit, and an end that is told', async () => {
  const env = fakeEnv()
  const ended: string[] = []
  const ids = { open: '' }
  using sessions = createSessions({
    env,
    timeoutMs: 10_000,
    sweepMs: 1_000,
    limit: 3,
    onEnd: ({ id }, reason) => ended.push(`${id === ids.open ? 'own' : id} ${reason}`),
  })
  ids.open = sessions.open().id
  expect(ids.open).toMatch(/^session-[0-9a-f]{32}$/)
  expect(sessions.open().id).not.toBe(ids.open)
  for (const component of ['in', 'brain', 'in', 'out']) sessions.touch('s1', component)
  expect(sessions.get('s1')).toMatchObject({ id: 's1', messages: 4, chain: ['in', 'brain', 'out'] })
  sessions.touch('s2')
  expect(ended).toEqual(['own room'])
  expect([sessions.close('s2'), sessions.close('s2')]).toEqual([true, false])
  await env.advance(9_999)
  sessions.touch('s3')
  await env.advance(1)
  expect(sessions.get('s1')).toBeUndefined()
  await env.advance(1_000)
  expect(ended).toContain('s1 timeout')
  expect(sessions.list().map((one) => one.id)).toEqual(['s3'])
  await env.advance(20_000)
  expect(sessions.list()).toEqual([])
  expect(env.timers).toBe(0)
})

test('[W83] a swarm tells who handled what of a session', async () => {
  const env = fakeEnv()
  await using bus = createBus({ env })
  using sessions = createSessions({ env })
  await using swarm = createSwarm({ bus, env, sessions })
  const source = await swarm.add({ name: 'in', role: 'input' })
  await swarm.add({ name: 'brain', role: 'agent', handle: ({ data }) => data })
  await swarm.add(sink('out', []))
  await swarm.start()
  await source.emit('input_received', 1, { session: 's1' })
  await source.emit('input_received', 2)
  await swarm.idle()
  expect(sessions.list()).toMatchObject([{ id: 's1', messages: 2, chain: ['brain', 'out'] }])
})

test('[W83] stateful instances keep their sessions, stateless ones take turns', async () => {
  const env = fakeEnv()
  using sessions = createSessions({ env })
  const seen: string[] = []
  const pool = (name: string, stateful: boolean) =>
    componentPool({
      name,
      sessions,
      stateful,
      scale: { min: 3, max: 3 },
      make: (instance) => ({ handle: ({ session }) => void seen.push(`${instance} ${session}`) }),
    })
  await using r = await swarmOf([pool('memo', true).component, pool('free', false).component])
  for (const session of ['a', 'b', 'c', 'a', 'c', 'b', 'd']) await r.bus.send('memo', 1, { session })
  await r.swarm.idle()
  expect(seen.splice(0)).toEqual(['memo-1 a', 'memo-2 b', 'memo-3 c', 'memo-1 a', 'memo-3 c', 'memo-2 b', 'memo-1 d'])
  for (const session of ['a', 'a', 'a', 'a']) await r.bus.send('free', 1, { session })
  await r.swarm.idle()
  expect(seen).toEqual(['free-1 a', 'free-2 a', 'free-3 a', 'free-1 a'])
})

test('[W83] a pool grows and shrinks between its bounds by what waits for each instance', async () => {
  expect(wantedInstances({ min: 1, max: 3, threshold: 2 }, 1, 2)).toBe(2)
  expect(wantedInstances({ min: 1, max: 3, threshold: 2 }, 3, 60)).toBe(3)
  expect(wantedInstances({ min: 1, max: 3, threshold: 2 }, 2, 1)).toBe(1)
  expect(wantedInstances({ min: 2, max: 3, threshold: 2 }, 2, 0)).toBe(2)
  expect(wantedInstances({}, 1, 1_000)).toBe(1)

  const env = fakeEnv()
  using sessions = createSessions({ env })
  const open = gate()
  const ended: string[] = []
  const pool = componentPool({
    name: 'work',
    sessions,
    concurrency: 10,
    scale: { min: 1, max: 3, threshold: 2 },
    make: (instance) => ({ handle: () => open.opened, stop: () => void ended.push(instance) }),
  })
  await using r = await swarmOf([pool.component])
  expect(pool.instances()).toHaveLength(1)
  for (let n = 0; n < 9; n++) await r.bus.send('work', n)
  await r.env.settle()
  expect(pool.instances()).toHaveLength(3)
  open.open()
  await r.swarm.idle()
  await r.env.settle()
  expect(pool.instances()).toMatchObject([{ running: 0 }])
  expect(ended).toHaveLength(2)
  await r.swarm.stop()
  expect(ended).toHaveLength(3)
})
