import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { componentRegistry, createCatalog, createSwarm, KINDS } from '../../src/component/index.ts'
import { BusError, createBus } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { sink, swarmOf } from '../origins/support/components.ts'
import { faultIn, faultOf, gate, range } from '../origins/support/woodwork.ts'

test('[W4] [W27] a component emits while its swarm runs: not before, not when it has ended, and says why', async () => {
  const heard: unknown[] = []
  await using bus = createBus()
  const swarm = createSwarm({ bus })
  const a = await swarm.add({ name: 'a', to: 'out' })
  const b = await swarm.add({ name: 'b', to: 'out' })
  await swarm.add(sink('out', heard))
  const early = await faultOf(a.emit('result_ready', 'early'))
  expect([early.code, early.message]).toEqual(['NOT_RUNNING', 'emit: the swarm is new'])
  await swarm.start()
  await swarm.remove('b')
  const gone = await faultOf(b.emit('result_ready', 'gone'))
  expect([gone.code, gone.message]).toEqual(['NOT_RUNNING', 'emit: "b" has ended'])
  await a.emit('result_ready', 'in time')
  await swarm.stop()
  expect((await faultOf(a.send('out', 'x', 'late'))).code).toBe('NOT_RUNNING')
  a.emitSoon('result_ready', 'late')
  await expect.poll(() => swarm.faults().map((one) => one.type)).toEqual(['emit'])
  expect(heard).toEqual(['in time'])
})

test('a component that is added while another starts is started with the rest, and any number come at once', async () => {
  const starts: string[] = []
  const begun = async (own: { name: string }): Promise<void> => {
    starts.push(own.name)
    await Promise.resolve()
  }
  await using bus = createBus()
  await using swarm = createSwarm({ bus })
  await swarm.add({
    name: 'parent',
    async start(own) {
      starts.push(own.name)
      await swarm.add({ name: 'child', start: begun, handle: () => 'here' })
    },
  })
  await swarm.start()
  expect(await swarm.component('parent').request('child', 1)).toBe('here')
  await Promise.all(range(50).map((n) => swarm.add({ name: `c${n}`, start: begun, handle: () => n })))
  expect(starts.toSorted()).toEqual(['child', 'parent', ...range(50).map((n) => `c${n}`)].toSorted())
  const asked = range(50).map((n) => swarm.component('parent').request(`c${n}`, 1))
  expect(await Promise.all(asked)).toEqual(range(50))
  expect(swarm.stats().active).toBe(52)
})

test('a component ends once, whoever ends it how often; its own methods are called on it', async () => {
  class Counter {
    paused = 0
    stopped = 0
    started = 0
    readonly name = 'a'
    start(): void {
      this.started++
    }
    pause(): void {
      this.paused++
    }
    async stop(): Promise<void> {
      await Promise.resolve()
      this.stopped++
    }
  }
  const catalog = createCatalog([{ kind: 'counter', role: 'other', summary: 'counts', keys: {}, make: () => counter }])
  const counter = new Counter()
  await using r = await swarmOf([], { catalog })
  await r.swarm.add({ name: 'a', kind: 'counter', settings: {} })
  const { swarm } = r
  const ends = await Promise.all([swarm.remove('a'), swarm.remove('a'), swarm.stop(), swarm.stop(), swarm.remove('a')])
  expect([ends[0], ends[1], ends[4]]).toEqual([true, false, false])
  expect([counter.started, counter.paused, counter.stopped]).toEqual([1, 1, 1])
})

test('a stop while the swarm starts ends the start, and what was started', async () => {
  const open = gate()
  const ended: string[] = []
  await using bus = createBus()
  const swarm = createSwarm({ bus })
  await swarm.add({ name: 'first', stop: () => void ended.push('first') })
  await swarm.add({ name: 'slow', start: () => open.opened, stop: () => void ended.push('slow') })
  await swarm.add({ name: 'never', start: () => void ended.push('never started') })
  const started = faultOf(swarm.start())
  await expect.poll(() => bus.agent('first')?.held).toBe(false)
  await swarm.stop({ limitMs: 1_000 })
  open.open()
  expect((await started).code).toBe('CANCELLED')
  expect([swarm.state, ended, bus.agents()]).toEqual(['stopped', ['slow', 'first'], []])
})

test('what came and went ten thousand times leaves nothing behind', async () => {
  const env = fakeEnv()
  await using bus = createBus({ env })
  using registry = componentRegistry({ bus, env })
  await using swarm = createSwarm({ bus, env, registry })
  const source = await swarm.add({ name: 'in', role: 'input' })
  await swarm.start()
  const cycle = async (n: number): Promise<void> => {
    const name = `c${n}`
    const own = await swarm.add({ name, role: 'agent', handle: ({ data }) => data })
    own.hook('*', () => undefined)
    await source.emit('input_received', n)
    await own.request(name, 1).catch(() => undefined)
    await swarm.remove(name)
  }
  const grown = async (from: number, to: number): Promise<number> => {
    const before = await heapUsed()
    for (let n = from; n < to; n++) await cycle(n)
    return (await heapUsed()) - before
  }
  await grown(0, 5_000)
  const bytes = await grown(5_000, 10_000)
  expect(bytes / 5_000).toBeLessThan(100)
  const { components, events } = swarm.stats()
  expect([Object.keys(components), events.hookSubscriptions, swarm.routes.list().length]).toEqual([['in'], 0, 1])
  expect(bus.agents().map((one) => one.name)).toEqual(['in'])
  expect(registry.list().map((one) => one.name)).toEqual(['in'])
}, 60_000)

test('[W78] [W68] texts under keys of references are names, for declarations in code too; a fault names its component once', async () => {
  await using bus = createBus()
  const make = (components: Parameters<typeof createSwarm>[0]['components'] = []) =>
    createSwarm({ bus, catalog: createCatalog(KINDS), components })
  const mind = { name: 'mind', kind: 'llm scripted', settings: { answers: ['hello'] } }
  await using swarm = make([{ name: 'brain', kind: 'agent llm', settings: { model: 'mind', tools: [] } }, mind])
  const heard: unknown[] = []
  await swarm.add(sink('out', heard))
  await swarm.start()
  await bus.send('brain', 'hi')
  await swarm.idle()
  expect(heard).toEqual(['hello'])
  expect(swarm.routes.of('mind')).toEqual([])
  const unknown = await faultOf(make([{ name: 'brain', kind: 'agent llm', settings: { model: 'mnid' } }, mind]).start())
  expect([unknown.code, unknown.message]).toEqual(['CONFIG_INVALID', '"brain" names "mnid", which does not exist'])

  const wrong = await faultOf(make([{ name: 'door', kind: 'input api', settings: { port: 'x' } }]).start())
  expect(wrong.code).toBe('CONFIG_INVALID')
  expect(wrong.message.match(/door/g)).toHaveLength(1)
  expect(wrong.message).not.toMatch(/BusError|could not start/)

  const silent = createCatalog([
    {
      kind: 'odd',
      role: 'other',
      summary: 'refuses',
      keys: {},
      make() {
        throw new BusError('UNSUPPORTED', 'sockets need the package "ws"')
      },
    },
  ])
  const odd = createSwarm({ bus, catalog: silent, components: [{ name: 'plug', kind: 'odd', settings: {} }] })
  const refused = await faultOf(odd.start())
  expect([refused.code, refused.message]).toEqual(['UNSUPPORTED', '"plug" (odd): sockets need the package "ws"'])
})

test('[W85] what is measured outside of a handling counts for the component; a stream that breaks off is a failure', async () => {
  await using r = await swarmOf([
    { name: 'me' },
    {
      name: 'llm',
      async *handle() {
        r.swarm.component('llm').measure({ tokens: 7 })
        yield 'a'
        throw new Error('torn')
      },
    },
  ])
  const told: unknown[] = []
  r.swarm.on('metrics.component_performance', (payload, { component }) => void told.push([component, payload]))
  r.swarm.component('me').measure({ tokens: 3, cost: 0.5 })
  for await (const chunk of r.swarm.component('me').requestStream('llm', 1, { session: 's' })) void chunk
  await r.swarm.idle()
  const { me, llm } = r.swarm.stats().components
  expect(me).toMatchObject({ costs: { handled: 0, tokens: 3, cost: 0.5 }, handling: { count: 0 } })
  expect(llm).toMatchObject({ costs: { handled: 1, tokens: 7 }, handlingFailures: 1 })
  expect(r.swarm.costs('s')).toMatchObject({ tokens: 7 })
  expect(told).toMatchObject([
    ['me', { tokens_processed: 3 }],
    ['llm', { tokens_processed: 7, session_id: 's' }],
  ])
  expect(r.swarm.faults()).toEqual([])
})

test('[W81] the registry knows what a component has in hand, and nothing of those that are gone, failed ones too', async () => {
  const hold = gate()
  const env = fakeEnv()
  await using bus = createBus({ env })
  using registry = componentRegistry({ bus, env })
  await using swarm = createSwarm({ bus, env, registry })
  await swarm.add({ name: 'busy', concurrency: 3, handle: () => hold.opened })
  await swarm.start()
  for (const n of range(5)) await bus.send('busy', n)
  await env.settle()
  expect(registry.find()).toMatchObject([{ name: 'busy', load: 5, maxConcurrent: 3 }])
  const failing = { name: 'failing', start: () => Promise.reject(new Error('no')) }
  expect((await faultOf(swarm.add(failing))).code).toBe('START_FAILED')
  expect(registry.list().map((one) => one.name)).toEqual(['busy'])
  hold.open()
  await swarm.idle()
  expect(registry.find()).toMatchObject([{ load: 0 }])
  expect(faultIn(() => registry.register({ name: 'x', type: 'y', load: 3 as never })).code).toBe('INVALID_OPTION')
})

async function heapUsed(): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (const _ of range(3)) {
    await new Promise((resolve) => setImmediate(resolve))
    collect()
  }
  return process.memoryUsage().heapUsed
}
