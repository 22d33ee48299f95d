import { expect, test } from 'vitest'
import { type CodeComponent, createSwarm, currentComponent, type SwarmFault } from '../../src/component/index.ts'
import { type BusError, createBus } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { sink, swarmOf } from '../origins/support/components.ts'
import { gate, range } from '../origins/support/woodwork.ts'

const broken: CodeComponent = {
  name: 'broken',
  handle() {
    throw new Error('broken')
  },
}

test('[W27] [W39] each target has a result of its own: taken, full, gone, unknown, refused; each that is lost is kept and told once', async () => {
  const hold = gate()
  const heard: unknown[] = []
  const faults: SwarmFault[] = []
  await using r = await swarmOf(
    [
      { name: 'a', to: ['fine', 'full', 'broken', 'gone', 'never', 'last'] },
      sink('fine', heard),
      { name: 'full', concurrency: 1, handle: () => hold.opened },
      broken,
      sink('gone', []),
      sink('last', heard),
    ],
    { busOptions: { limit: 2, overflow: 'refuse' }, onFault: (fault) => faults.push(fault) },
  )
  await r.swarm.remove('gone')
  const a = r.swarm.component('a')
  const results: [readonly string[], unknown[]][] = []
  for (const n of range(5)) {
    const { delivered, failed } = await a.emit('result_ready', n)
    results.push([delivered, failed.map(({ target, error }) => [target, (error as BusError).code])])
    await r.env.settle()
  }
  const missing = [
    ['gone', 'UNKNOWN_AGENT'],
    ['never', 'UNKNOWN_AGENT'],
  ]
  // One is in hand and two wait: what comes then finds no room.
  const took = [['fine', 'full', 'broken', 'last'], missing]
  const full = [
    ['fine', 'broken', 'last'],
    [['full', 'QUEUE_FULL'], ...missing],
  ]
  expect(results).toEqual([took, took, took, full, full])
  hold.open()
  await r.swarm.idle()
  expect(heard.toSorted()).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
  expect(r.swarm.stats().components.a).toMatchObject({ emitted: 5, routed: 5, sent: 3 * 4 + 2 * 3, routeFailures: 12 })
  expect(r.swarm.stats().router).toMatchObject({ messagesRouted: 18, routingFailures: 12 })
  const of = (type: string) => faults.filter((one) => one.type === type).length
  expect([of('route'), of('component'), faults.length]).toEqual([12, 5, 17])
  expect(r.bus.failures().filter((one) => one.name === 'a')).toHaveLength(12)
})

test('[W27] [WN11] what a component emits while it starts waits for targets that are not ready yet', async () => {
  const heard: unknown[] = []
  await using bus = createBus()
  await using swarm = createSwarm({ bus })
  await swarm.add({ name: 'out', role: 'output', to: 'echo', handle: ({ data }) => void heard.push(['out', data]) })
  // Starts before the others, as it is what they send to.
  await swarm.add({
    name: 'echo',
    start: async (own) => void heard.push((await own.send('late', 'hello', 1)).delivered),
    handle: () => undefined,
  })
  await swarm.add({ name: 'late', to: 'out', start: () => undefined, handle: ({ data }) => data })
  await swarm.start()
  await swarm.idle()
  expect(heard).toEqual([['late'], ['out', 1]])
})

test('[W40] what is in hand changes routes, hooks and components, and the rest goes on', async () => {
  const heard: string[] = []
  await using r = await swarmOf([
    { name: 'in', role: 'input', to: 'mid' },
    {
      name: 'mid',
      to: ['a'],
      async handle({ data }) {
        const { swarm } = r
        if (data === 'first') {
          swarm.routes.add('mid', 'b')
          swarm.routes.remove('mid', 'a')
          // One that is added while it is told is told of the next event.
          swarm.component('mid').hook('response_generated', () => {
            heard.push('hook')
            swarm.component('mid').hook('response_generated', () => void heard.push('hook of the hook'))
          })
        }
        if (data === 'second') {
          await swarm.add({ name: 'c', handle: (message) => void heard.push(`c ${String(message.data)}`) })
          swarm.routes.add('mid', 'c')
          await swarm.remove('b')
        }
        return data
      },
    },
    { name: 'a', handle: ({ data }) => void heard.push(`a ${String(data)}`) },
    { name: 'b', handle: ({ data }) => void heard.push(`b ${String(data)}`) },
  ])
  const source = r.swarm.component('in')
  for (const data of ['first', 'second']) {
    await source.emit('input_received', data)
    await r.swarm.idle()
  }
  expect(heard).toEqual(['hook', 'b first', 'hook', 'hook of the hook', 'c second'])
  expect(r.swarm.stats().components.mid).toMatchObject({ sent: 2, routeFailures: 1 })
})

test('[W46] hooks that never end, and ten thousand slow ones, keep nothing waiting; a stop waits for them until its limit', async () => {
  const heard: unknown[] = []
  const open = gate()
  let ended = 0
  await using r = await swarmOf([{ name: 'a', to: 'out' }, sink('out', heard)])
  const a = r.swarm.component('a')
  a.hook('result_ready', () => gate().opened)
  a.hook('result_ready', async () => {
    await open.opened
    ended++
  })
  for (const n of range(5_000)) await a.emit('result_ready', n)
  await r.swarm.idle()
  expect([heard.length, ended]).toEqual([5_000, 0])
  expect(r.swarm.stats().events).toMatchObject({ hooksExecuted: 10_000, hookFailures: 0 })
  open.open()
  await r.env.settle()
  expect(ended).toBe(5_000)
  const stopped = r.swarm.stop({ limitMs: 1_000 })
  await r.env.settle()
  expect(r.swarm.state).toBe('stopping')
  await r.env.advance(1_000)
  expect(await stopped).toEqual({ drained: true, left: 0, failed: [] })
})

test('[W54] [WN19] nobody works on behalf of a component that has only woken the bus', async () => {
  const seen: unknown[] = []
  await using r = await swarmOf([
    { name: 'bridge', to: 'out' },
    {
      name: 'worker',
      async handle({ data }, context) {
        await context.bus.publish('orders.own', data)
        await r.bus.publish('orders.raw', data)
      },
    },
    { name: 'out', handle: ({ data, session, from, hops }) => void seen.push([data, session, from, hops]) },
  ])
  // Not a component: what it emits by one is not what the worker works on.
  r.bus.subscribe('orders.*', async ({ topic, session }) => {
    seen.push([topic, currentComponent()])
    const own = session === undefined ? {} : { session }
    await r.swarm.component('bridge').emit('result_ready', topic, own)
  })
  await r.bus.send('worker', 1, { session: 'secret' })
  await Promise.all([r.bus.publish('orders.other', 1), r.bus.publish('orders.open', 1, { session: 'open' })])
  await r.swarm.idle()
  expect(seen.filter((one) => (one as unknown[]).length === 2)).toEqual(
    expect.arrayContaining(['own', 'raw', 'other', 'open'].map((name) => [`orders.${name}`, undefined])),
  )
  expect(seen.filter((one) => (one as unknown[]).length === 4).toSorted()).toEqual([
    ['orders.open', 'open', 'bridge', 0],
    ['orders.other', undefined, 'bridge', 0],
    ['orders.own', 'secret', 'bridge', 0],
    ['orders.raw', undefined, 'bridge', 0],
  ])
})

test('[W54] sender, session and cause stay with the work along timers, races, callbacks and what goes on behind the handler', async () => {
  const seen: unknown[] = []
  const later = gate()
  await using r = await swarmOf([
    {
      name: 'a',
      to: 'out',
      concurrency: 20,
      async handle({ data }) {
        const own = r.swarm.component('a')
        await Promise.all([
          new Promise<void>((resolve) => setImmediate(resolve)).then(() => own.emit('result_ready', `${data} timer`)),
          Promise.race([own.emit('result_ready', `${data} race`), gate().opened]),
          own.bus.send('out', `${data} bus`),
        ])
        void later.opened.then(() => own.emit('result_ready', `${data} behind`))
      },
    },
    { name: 'out', handle: (m) => void seen.push([m.data, m.session, m.from, m.rootId === undefined, m.hops]) },
  ])
  await Promise.all(range(5).map((n) => r.bus.send('a', n, { session: `s${n}` })))
  await expect.poll(() => seen.length).toBe(15)
  await r.swarm.idle()
  later.open()
  await r.env.settle()
  await r.swarm.idle()
  const wanted = range(5).flatMap((n) =>
    ['behind', 'bus', 'race', 'timer'].map((what) => [`${n} ${what}`, `s${n}`, 'a', false, 1]),
  )
  expect(seen.toSorted()).toEqual(wanted)
})

test('[W34] [W41] [WN13] a hundred messages in three circles tell of each circle once, and leave nothing running', async () => {
  const faults: SwarmFault[] = []
  const pass = ({ data }: { data: unknown }): unknown => data
  await using r = await swarmOf(
    [
      { name: 'in', role: 'input', to: ['a', 'self', 'x'] },
      { name: 'a', to: 'b', handle: pass },
      { name: 'b', to: 'a', handle: pass },
      { name: 'self', to: 'self', handle: pass },
      { name: 'x', to: 'y', handle: pass },
      { name: 'y', to: 'z', handle: pass },
      { name: 'z', to: 'x', handle: pass },
    ],
    { hopLimit: 7, onFault: (fault) => faults.push(fault) },
  )
  expect(r.swarm.routes.validate().issues.map((one) => one.component)).toEqual(['a', 'self', 'x'])
  for (const n of range(100)) await r.swarm.component('in').emit('input_received', n)
  await r.swarm.idle()
  expect(faults.map((one) => one.type)).toEqual(['cycle', 'cycle', 'cycle'])
  const told = faults.map((one) => one.message).toSorted()
  expect(told[0]).toMatch(/"(a|b)" → "(a|b)" → "(a|b)"; it was ended after 7 hops/)
  expect(told.some((one) => one.includes('"self" → "self"'))).toBe(true)
  expect(told.some((one) => /("[xyz]" → ){3}"[xyz]"/.test(one))).toBe(true)
  // Each message was handled eight times: by its first target, and seven hops on.
  const { components } = r.swarm.stats()
  expect((components.a?.received ?? 0) + (components.b?.received ?? 0)).toBe(800)
  expect(r.swarm.stats().router).toMatchObject({ routingFailures: 300 })
  expect(r.bus.stats().ledger).toMatchObject({ pending: 0, failed: 0 })
})

test('[W40] ten thousand routes are added, checked, followed and removed in no time worth telling', async () => {
  const count = 10_000
  let heard = 0
  const env = fakeEnv()
  await using bus = createBus({ env, limit: 20_000 })
  await using swarm = createSwarm({ bus, env })
  const source = await swarm.add({ name: 'in', role: 'input' })
  for (const n of range(count)) await swarm.add({ name: `c${n}`, handle: () => void heard++ })
  for (const n of range(count)) swarm.routes.add('in', `c${n}`)
  // A chain from the first to the last one, and a circle of all of them.
  for (const n of range(count)) swarm.routes.add(`c${n}`, `c${(n + 1) % count}`)
  await swarm.start()
  const checked = swarm.routes.validate()
  expect(checked.statistics).toMatchObject({ total: count + 1, routed: count + 1, routes: 2 * count })
  expect(checked.issues.map((one) => one.code)).toEqual(['cycle'])
  expect(swarm.routes.remove(`c${count - 1}`, 'c0')).toBe(true)
  expect(swarm.routes.validate().issues).toEqual([])
  for (const n of range(count - 1)) swarm.routes.remove(`c${n}`, `c${n + 1}`)
  expect(swarm.routes.chains()).toHaveLength(count)
  const { delivered } = await source.emit('input_received', 1)
  await swarm.idle()
  expect([delivered.length, heard]).toEqual([count, count])
  for (const n of range(count)) swarm.routes.remove('in', `c${n}`)
  expect(swarm.routes.of('in')).toEqual([])
}, 60_000)
