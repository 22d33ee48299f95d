import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type CodeComponent,
  createSwarm,
  inferRoutes,
  type Role,
  type RouteNode,
  type SwarmFault,
  validateRoutes,
} from '../../src/component/index.ts'
import { createBus } from '../../src/index.ts'
import { sink, swarmOf } from './support/components.ts'
import { faultIn, faultOf } from './support/woodwork.ts'

const node = (name: string, role: Role, rest: Partial<RouteNode> = {}): RouteNode => ({ name, role, ...rest })
const table = (nodes: readonly RouteNode[]): Record<string, readonly string[]> =>
  Object.fromEntries(inferRoutes(nodes).routes.map(({ from, to }) => [from, to]))
const echo = ({ data }: { data: unknown }): unknown => data

test('[W37] [W38] [WN18] without `to` every input goes to the first agent, agents go to all outputs', () => {
  expect(table([node('in', 'input'), node('brain', 'agent'), node('out', 'output')])).toEqual({
    in: ['brain'],
    brain: ['out'],
    out: [],
  })
  const several = [
    node('a', 'output'),
    node('i1', 'input'),
    node('i2', 'input'),
    node('x', 'agent'),
    node('b', 'output'),
  ]
  expect(table(several)).toEqual({ a: [], i1: ['x'], i2: ['x'], x: ['a', 'b'], b: [] })
})

test('[W37] [W38] without agents the first llm that nobody uses takes their place; tools and memories take no part', () => {
  const nodes = [
    node('in', 'input'),
    node('model', 'llm'),
    node('chat', 'llm', { references: ['notes', 'model'] }),
    node('notes', 'memory'),
    node('facts', 'knowledge-base'),
    node('web', 'tool'),
    node('out', 'output'),
  ]
  expect(table(nodes)).toEqual({ in: ['chat'], model: [], chat: ['out'], notes: [], facts: [], web: [], out: [] })
  const withAgent = [...nodes, node('boss', 'agent', { references: ['chat', 'web'] })]
  expect(table(withAgent)).toMatchObject({ in: ['boss'], chat: [], boss: ['out'] })
  expect(table([node('in', 'input'), node('web', 'tool')])).toEqual({ in: [], web: [] })
})

test('[W37] without an output there is the built-in console, under a name that is free', async () => {
  const found = inferRoutes([node('in', 'input'), node('console', 'tool'), node('brain', 'agent')])
  expect(found.needsConsole).toBe(true)
  expect(found.routes.find((one) => one.from === 'brain')?.to).toEqual(['console-2'])
})

test('[W37] a choice among several is a warning that names it, and an error under strict', async () => {
  const nodes = [node('in', 'input'), node('a', 'agent'), node('b', 'agent'), node('out', 'output')]
  const { routes, warnings } = inferRoutes(nodes)
  expect(routes[0]?.to).toEqual(['a'])
  expect(warnings).toMatchObject([{ code: 'ambiguous', component: 'in' }])
  expect(warnings[0]?.message).toMatch(/"in".*"a", "b".*it goes to "a"/)

  await using bus = createBus()
  await using strict = createSwarm({ bus, strict: true })
  for (const { name, role } of nodes) await strict.add({ name, role })
  const fault = await faultOf(strict.start())
  expect([fault.code, fault.message]).toEqual(['CONFIG_INVALID', warnings[0]?.message])
  await using loose = createSwarm({ bus })
  for (const { name, role } of nodes) await loose.add({ name, role })
  await loose.start()
  expect(loose.routes.warnings()).toEqual(warnings)
})

test('[W37] whatever the roles, declared routes stay, and everything inferred leads to something that exists', () => {
  const roles = fc.constantFrom<Role>('input', 'agent', 'llm', 'output', 'tool', 'memory')
  const anyNodes = fc.array(fc.record({ role: roles, to: fc.option(fc.constant(['n0']), { nil: undefined }) }), {
    minLength: 1,
    maxLength: 8,
  })
  fc.assert(
    fc.property(anyNodes, (parts) => {
      const nodes = parts.map((part, index) => ({ name: `n${index}`, ...part }))
      const names = new Set(nodes.map((one) => one.name))
      const { routes, needsConsole } = inferRoutes(nodes)
      expect(routes.map((one) => one.from)).toEqual(nodes.map((one) => one.name))
      for (const [index, { to, origin }] of routes.entries()) {
        const own = nodes[index]
        if (own?.to !== undefined) expect([to, origin]).toEqual([own.to, 'declared'])
        else for (const target of to) expect(names.has(target) || (needsConsole && target === 'console')).toBe(true)
        if (own?.role === 'output' && own.to === undefined) expect(to).toEqual([])
      }
    }),
  )
})

test('[W39] one to many, many to one and declared feedback: a missing target loses nothing of the others, and is counted', async () => {
  const a: unknown[] = []
  const b: unknown[] = []
  await using r = await swarmOf([
    { name: 'i1', role: 'input', to: ['a', 'gone', 'b'] },
    { name: 'i2', role: 'input', to: 'b' },
    sink('a', a),
    sink('b', b),
  ])
  const result = await r.swarm.component('i1').emit('input_received', 1)
  expect(result.delivered).toEqual(['a', 'b'])
  expect(result.failed).toMatchObject([{ target: 'gone', error: { code: 'UNKNOWN_AGENT' } }])
  await r.swarm.component('i2').emit('input_received', 2)
  await r.swarm.idle()
  expect([a, b]).toEqual([[1], [1, 2]])
  expect(r.swarm.stats().router).toMatchObject({ messagesRouted: 3, routingFailures: 1 })
  expect(r.swarm.stats().components.i1).toMatchObject({ sent: 2, routeFailures: 1 })
  expect(r.bus.failures().map((one) => one.error)).toMatchObject([
    { code: 'ROUTE_FAILED', details: { target: 'gone' } },
  ])
})

test('[W40] routes are listed as copies, added and removed while it runs; chains are all ways from inputs to the end', async () => {
  const a: unknown[] = []
  const b: unknown[] = []
  await using r = await swarmOf([
    { name: 'in', role: 'input', to: 'mid' },
    { name: 'mid', to: ['a'], handle: echo },
    sink('a', a),
    sink('b', b),
  ])
  const { routes } = r.swarm
  const before = routes.list()
  const listed = before[0]?.to as string[]
  expect(() => listed.push('x')).toThrow(TypeError)
  expect([routes.add('mid', 'b'), routes.add('mid', 'b')]).toEqual([true, false])
  await r.swarm.component('in').emit('input_received', 1)
  await r.swarm.idle()
  expect(routes.chains()).toEqual([
    ['in', 'mid', 'a'],
    ['in', 'mid', 'b'],
  ])
  expect([routes.remove('mid', 'a'), routes.remove('mid', 'a')]).toEqual([true, false])
  await r.swarm.component('in').emit('input_received', 2)
  await r.swarm.idle()
  expect([a, b]).toEqual([[1], [1, 2]])
  expect(routes.of('mid')).toEqual(['b'])
  expect(before.find((one) => one.from === 'mid')?.to).toEqual(['a'])
  expect(faultIn(() => routes.add('nobody', 'a'))).toMatchObject({ code: 'UNKNOWN_AGENT' })
  expect(routes.list().find((one) => one.from === 'mid')?.origin).toBe('changed')
})

test('[W41] validation: unknown targets and cycles are issues, each cycle once; orphans are warnings; declared feedback is allowed', () => {
  const nodes = [
    node('in', 'input'),
    node('a', 'agent', { feedback: ['b'] }),
    node('b', 'agent'),
    node('c', 'other'),
    node('notes', 'memory'),
    node('out', 'output'),
    node('lone', 'output'),
  ]
  const routes = (pairs: Record<string, readonly string[]>) =>
    Object.entries(pairs).map(([from, to]) => ({ from, to, origin: 'declared' as const }))
  const bad = validateRoutes(nodes, routes({ in: ['a'], a: ['c', 'outt'], b: ['c'], c: ['a', 'b', 'c'] }))
  expect(bad.valid).toBe(false)
  expect(bad.issues.map(({ code, component }) => [code, component])).toEqual([
    ['unknown-target', 'a'],
    ['cycle', 'a'],
    ['cycle', 'b'],
    ['cycle', 'c'],
  ])
  expect(bad.issues[0]?.message).toContain('did you mean "out"?')
  expect(bad.issues[1]?.message).toContain('"a" → "c" → "a" is a cycle')
  expect(bad.warnings.map((one) => one.component)).toEqual(['out', 'lone'])
  expect(bad.statistics).toEqual({ total: 7, routed: 4, orphaned: 2, routes: 7 })

  const good = validateRoutes(nodes, routes({ in: ['a'], a: ['b', 'notes'], b: ['a', 'out'], notes: ['a'] }))
  expect(good.issues).toEqual([])
  expect(good.valid).toBe(true)
})

test('[W41] every cycle is found, and none where there is none', () => {
  const size = 6
  const anyEdges = fc.array(fc.tuple(fc.nat(size - 1), fc.nat(size - 1)), { maxLength: 12 })
  fc.assert(
    fc.property(anyEdges, (edges) => {
      const nodes = Array.from({ length: size }, (_, index) => node(`n${index}`, 'other'))
      const routes = nodes.map(({ name }, index) => {
        const to = edges.filter(([from]) => from === index).map(([, target]) => `n${target}`)
        return { from: name, to: [...new Set(to)], origin: 'declared' as const }
      })
      const cycles = validateRoutes(nodes, routes).issues.filter((one) => one.code === 'cycle')
      expect(new Set(cycles.map((one) => one.message)).size).toBe(cycles.length)
      expect(cycles.length > 0).toBe(hasCycle(new Map(routes.map(({ from, to }) => [from, to]))))
    }),
  )
})

/** By taking away what leads nowhere, until nothing is left or only circles are. */
function hasCycle(edges: ReadonlyMap<string, readonly string[]>): boolean {
  const left = new Map(edges)
  for (let size = -1; size !== left.size; ) {
    size = left.size
    for (const [name, to] of left) if (!to.some((one) => left.has(one))) left.delete(name)
  }
  return left.size > 0
}

test('[W34] [WN13] two components that answer each other end at the hop limit, with one diagnostic', async () => {
  const faults: SwarmFault[] = []
  let handled = 0
  const answer = { handle: ({ data }: { data: unknown }) => ++handled && data }
  await using r = await swarmOf(
    [
      { name: 'in', role: 'input', to: 'ping' },
      { name: 'ping', to: 'pong', ...answer },
      { name: 'pong', to: 'ping', ...answer },
    ],
    { hopLimit: 10, onFault: (fault) => faults.push(fault) },
  )
  await r.swarm.component('in').emit('input_received', 'x')
  await r.swarm.component('in').emit('input_received', 'y')
  await r.swarm.idle()
  expect(handled).toBe(2 * 11)
  expect(faults.map((one) => one.type)).toEqual(['cycle'])
  expect(faults[0]?.message).toMatch(/"p[io]ng" → "p[io]ng" → "p[io]ng"; it was ended after 10 hops/)
  expect(r.swarm.stats().router.routingFailures).toBe(2)
  expect(r.bus.health().status).toBe('healthy')
})

test('[W34] every routed message carries its chain: the root, the cause, the number of hops', async () => {
  const seen: unknown[] = []
  await using r = await swarmOf([
    { name: 'in', role: 'input', to: 'mid' },
    { name: 'mid', to: 'out', handle: echo },
    { name: 'out', handle: ({ hops, rootId, causationId, id }) => void seen.push({ hops, rootId, causationId, id }) },
  ])
  let first: unknown
  r.bus.subscribe('agent.mid', ({ id }) => void (first = id))
  await r.swarm.component('in').emit('input_received', 'x')
  await r.swarm.idle()
  expect(seen).toMatchObject([{ hops: 1, rootId: first, causationId: first }])
})

test('[WN13] a hook that emits what it hooks ends as well', async () => {
  const faults: SwarmFault[] = []
  await using r = await swarmOf([{ name: 'a' }], { hopLimit: 8, onFault: (fault) => faults.push(fault) })
  const a = r.swarm.component('a')
  let sync = 0
  let late = 0
  a.hook('sync', () => {
    sync++
    a.emitSoon('sync', 1)
  })
  a.hook('late', async () => {
    late++
    await Promise.resolve()
    await a.emit('late', 1)
  })
  await a.emit('sync', 1)
  await a.emit('late', 1)
  await r.env.settle()
  expect([sync, late]).toEqual([8, 8])
  expect(faults.filter((one) => one.type === 'cycle')).toHaveLength(1)
})

test('[W43] [W44] the figures of the router and of events are counted', async () => {
  await using r = await swarmOf([
    { name: 'in', role: 'input', to: ['a', 'b'] },
    { name: 'a', to: 'out', handle: echo },
    { name: 'b', handle: () => undefined },
    sink('out', []),
  ])
  const source = r.swarm.component('in')
  source.hook('input_received', () => undefined)
  source.pipe('input_received', () => undefined)
  r.swarm.on('x', () => undefined)
  await source.emit('input_received', 1)
  await source.emit('told.only', 1)
  await r.swarm.idle()
  const { router, events, routing, active, health } = r.swarm.stats()
  expect(router).toMatchObject({
    messagesRouted: 3,
    routingFailures: 0,
    componentsRegistered: 4,
    activeRoutes: 3,
    tableSize: 2,
    averageTargets: 1.5,
  })
  expect(router.table.map((one) => one.from)).toEqual(['in', 'a', 'b', 'out'])
  expect(events).toMatchObject({
    eventsEmitted: 3,
    componentsRegistered: 4,
    routesProcessed: 2,
    hooksExecuted: 1,
    routingTableSize: 2,
    totalRoutes: 3,
    hookSubscriptions: 1,
    pipeSubscriptions: 1,
    eventSubscriptions: 1,
  })
  expect(routing[0]).toEqual({ name: 'in', targets: ['a', 'b'], registered: true, targetCount: 2 })
  expect([active, health.status]).toEqual([4, 'healthy'])
})

test('[W36] [WN18] targets are a name or a list of names; anything else is refused', async () => {
  await using bus = createBus()
  await using swarm = createSwarm({ bus })
  for (const to of [42, [''], [1], { name: 'x' }]) {
    const wrong = { name: 'wrong', to } as unknown as CodeComponent
    expect(await faultOf(swarm.add(wrong))).toMatchObject({ code: 'INVALID_OPTION', details: { field: 'to' } })
  }
  await swarm.add({ name: 'none', to: [] })
  await swarm.add({ name: 'one', to: 'none' })
  await swarm.add({ name: 'two', to: ['none', 'one', 'none'] })
  expect(swarm.routes.list().map((one) => one.to)).toEqual([[], ['none'], ['none', 'one']])
})
