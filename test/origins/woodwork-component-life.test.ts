import { expect, test } from 'vitest'
import {
  type Behaviour,
  type ComponentSpec,
  createCatalog,
  createSwarm,
  type KindDefinition,
  Reference,
} from '../../src/component/index.ts'
import { BusError, createBus } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { sink, swarmOf } from './support/components.ts'
import { faultIn, faultOf, gate } from './support/woodwork.ts'

const spec = (name: string, kind: string, rest: Partial<ComponentSpec> = {}): ComponentSpec => ({
  name,
  kind,
  settings: {},
  ...rest,
})

/** Kinds that note what happens to their components. */
function kinds(steps: string[], make: (spec: ComponentSpec) => Behaviour = () => ({})): readonly KindDefinition[] {
  const kind = (name: string, role: KindDefinition['role'], also?: readonly string[]): KindDefinition => ({
    kind: name,
    role,
    summary: name,
    keys: {},
    ...(also === undefined ? {} : { also }),
    make(own, context) {
      const uses = Object.values(own.settings).flatMap((one) => (one instanceof Reference ? [one.name] : []))
      for (const use of uses) context.behaviour(use)
      steps.push(`make ${own.name}`)
      return {
        start: () => void steps.push(`start ${own.name}`),
        pause: () => void steps.push(`pause ${own.name}`),
        stop: () => void steps.push(`stop ${own.name}`),
        handle: () => undefined,
        ...make(own),
      }
    },
  })
  return [
    kind('input test', 'input'),
    kind('agent test', 'agent'),
    kind('llm test', 'llm', ['echoing']),
    kind('output console', 'output'),
    {
      kind: 'output voice',
      role: 'output',
      summary: 'speaks',
      keys: {},
      unavailable: 'there is no voice; use console',
    },
  ]
}

test('[W78] what is needed is made first, targets are ready before what sends to them, and the end is in reverse', async () => {
  const steps: string[] = []
  const progress: string[] = []
  await using bus = createBus()
  await using swarm = createSwarm({
    bus,
    catalog: createCatalog(kinds(steps)),
    components: [
      spec('in', 'input test'),
      spec('brain', 'agent test', { settings: { model: new Reference('model') } }),
      spec('model', 'echoing'),
      spec('out', 'output console'),
    ],
  })
  expect(steps).toEqual([])
  await swarm.start({
    onProgress: ({ component, step, done, total }) => progress.push(`${step} ${component} ${done}/${total}`),
  })
  expect(steps.splice(0)).toEqual([
    'make in',
    'make model',
    'make brain',
    'make out',
    'start out',
    'start model',
    'start brain',
    'start in',
  ])
  expect(progress.slice(-2)).toEqual(['ready brain 3/4', 'ready in 4/4'])
  expect(swarm.stats().active).toBe(4)
  expect(await swarm.stop()).toEqual({ drained: true, left: 0, failed: [] })
  expect(steps).toEqual([
    'pause in',
    'pause brain',
    'pause model',
    'pause out',
    'stop in',
    'stop brain',
    'stop model',
    'stop out',
  ])
  expect(swarm.state).toBe('stopped')
  expect((await faultOf(swarm.start())).code).toBe('NOT_RUNNING')
})

test('[W78] a start that hangs ends after its limit, names the component, and ends what was started', async () => {
  const steps: string[] = []
  const env = fakeEnv()
  await using bus = createBus({ env })
  const hang = (own: ComponentSpec): Behaviour => (own.name === 'brain' ? { start: () => gate().opened } : {})
  const swarm = createSwarm({
    bus,
    env,
    catalog: createCatalog(kinds(steps, hang)),
    components: [spec('in', 'input test'), spec('brain', 'agent test'), spec('out', 'output console')],
  })
  const started = faultOf(swarm.start())
  await env.advance(29_999)
  expect(swarm.state).toBe('starting')
  await env.advance(1)
  const fault = await started
  expect([fault.code, fault.message, fault.details.component]).toEqual([
    'START_FAILED',
    '"brain" (agent test) was not ready within 30000 ms',
    'brain',
  ])
  expect(steps).toContain('stop out')
  expect(steps).not.toContain('start in')
  expect(swarm.state).toBe('stopped')
  expect(bus.agents()).toEqual([])
})

test('[WN19] a component that cannot be made or started fails the start, with its name and its cause', async () => {
  for (const broken of ['make', 'start']) {
    await using bus = createBus()
    const boom = (): never => {
      throw new Error('no disk')
    }
    const swarm = createSwarm({
      bus,
      catalog: createCatalog(
        kinds([], (own) => (own.name !== 'out' ? {} : broken === 'make' ? boom() : { start: boom })),
      ),
      components: [spec('in', 'input test'), spec('out', 'output console')],
    })
    const fault = await faultOf(swarm.start())
    expect(fault).toMatchObject({ code: 'START_FAILED', cause: { message: 'no disk' }, details: { component: 'out' } })
    expect(fault.message).toContain('no disk')
  }
})

test('[W78] the name of a component that fails to start is said once, whatever its fault says', async () => {
  const texts = ['"out" has no disk', '"out": no disk', 'no disk']
  for (const text of texts) {
    for (const code of ['CONFIG_INVALID', 'HANDLER_FAILED'] as const) {
      await using bus = createBus()
      const made = kinds([], (own) => {
        if (own.name === 'out') throw new BusError(code, text)
        return {}
      })
      const swarm = createSwarm({
        bus,
        catalog: createCatalog(made),
        components: [spec('in', 'input test'), spec('out', 'output console')],
      })
      const fault = await faultOf(swarm.start())
      expect(fault.details).toMatchObject({ component: 'out' })
      expect(fault.message.split('"out"')).toHaveLength(2)
    }
  }
})

test('[WN19] the session of a message goes along from the input to the end', async () => {
  const sessions: unknown[] = []
  await using r = await swarmOf([
    { name: 'in', role: 'input', to: 'a' },
    {
      name: 'a',
      to: 'b',
      async handle({ data }) {
        await Promise.resolve()
        sessions.push(r.swarm.component('a').session)
        return data
      },
    },
    { name: 'b', handle: ({ session }) => void sessions.push(session) },
  ])
  for (const session of ['s1', 's2']) await r.swarm.component('in').emit('input_received', 1, { session })
  await r.swarm.idle()
  expect(sessions.toSorted()).toEqual(['s1', 's1', 's2', 's2'])
})

test('wrong kinds, names and references are refused before anything is made', async () => {
  const steps: string[] = []
  await using bus = createBus()
  const catalog = createCatalog(kinds(steps))
  const make = (components: readonly ComponentSpec[]) => createSwarm({ bus, catalog, components })
  expect(faultIn(() => make([spec('x', 'agent tset')]))).toMatchObject({ code: 'CONFIG_INVALID' })
  expect(faultIn(() => make([spec('x', 'agent tset')])).message).toContain('did you mean "agent test"?')
  expect(faultIn(() => make([spec('x', 'agent test'), spec('x', 'input test')])).message).toContain('"x" already')
  expect(faultIn(() => make([spec('a b', 'agent test')])).code).toBe('INVALID_TOPIC')
  const several = make([
    spec('speaker', 'output voice'),
    spec('brain', 'agent test', { settings: { model: new Reference('modle') } }),
  ])
  const fault = await faultOf(several.start())
  expect(fault.code).toBe('CONFIG_INVALID')
  expect(fault.details.faults).toEqual([
    '"speaker" (output voice): there is no voice; use console',
    '"brain" names "modle", which does not exist',
  ])
  const circle = make([
    spec('a', 'agent test', { settings: { tools: [new Reference('b')] } }),
    spec('b', 'agent test', { settings: { deep: { model: new Reference('a') } } }),
  ])
  expect((await faultOf(circle.start())).message).toContain('a → b → a')
  expect(steps).toEqual([])
})

test('[W37] a swarm without an output gets the built-in console', async () => {
  const steps: string[] = []
  await using bus = createBus()
  await using swarm = createSwarm({
    bus,
    catalog: createCatalog(kinds(steps)),
    components: [spec('in', 'input test'), spec('brain', 'agent test')],
  })
  await swarm.start()
  expect(swarm.routes.list().map(({ from, to }) => [from, to])).toEqual([
    ['in', ['brain']],
    ['brain', ['console']],
    ['console', []],
  ])
  expect(swarm.components().at(-1)).toMatchObject({ name: 'console', kind: 'output console', role: 'output' })
})

test('[W50] script hooks and pipes come from whoever finds modules; without one, or with a wrong one, the start fails', async () => {
  const heard: unknown[] = []
  await using bus = createBus()
  const components = [
    spec('brain', 'agent test', {
      hooks: [{ event: 'result_ready', script: 'h.ts', function: 'see' }],
      pipes: [{ event: 'result_ready', script: 'p.ts', function: 'change' }],
    }),
  ]
  const catalog = createCatalog(kinds([]))
  await using swarm = createSwarm({
    bus,
    catalog,
    components,
    scripts:
      ({ script, function: name }) =>
      (payload) => {
        heard.push([script, name, payload])
        return name === 'change' ? 'changed' : undefined
      },
  })
  await swarm.start()
  expect((await swarm.component('brain').emit('result_ready', 'x', { route: false })).payload).toBe('changed')
  expect(heard).toEqual([
    ['h.ts', 'see', 'x'],
    ['p.ts', 'change', 'x'],
  ])
  await swarm.stop()
  expect((await faultOf(createSwarm({ bus, catalog, components }).start())).code).toBe('CONFIG_INVALID')
  const failing = createSwarm({
    bus,
    catalog,
    components,
    scripts: () => Promise.reject(new Error('no function "see"')),
  })
  expect((await faultOf(failing.start())).message).toContain('no function "see"')
})

test('[WN11] what came before a component was ready waits for it, in order', async () => {
  const seen: unknown[] = []
  const ready = gate()
  await using bus = createBus()
  await using swarm = createSwarm({ bus })
  await swarm.add({
    name: 'late',
    role: 'output',
    start: () => ready.opened,
    handle: ({ data }) => void seen.push(data),
  })
  const started = swarm.start()
  await expect.poll(() => bus.agent('late')?.held).toBe(true)
  for (let n = 0; n < 5; n++) expect((await bus.send('late', n)).held).toBe(true)
  expect(seen).toEqual([])
  ready.open()
  await started
  await swarm.idle()
  expect(seen).toEqual([0, 1, 2, 3, 4])
})

test('components come and go while the swarm runs', async () => {
  const heard: unknown[] = []
  await using r = await swarmOf([{ name: 'in', role: 'input' }])
  expect(r.swarm.routes.of('in')).toEqual([])
  await r.swarm.add({ name: 'brain', role: 'agent', handle: ({ data }) => data })
  await r.swarm.add(sink('out', heard))
  expect([r.swarm.routes.of('in'), r.swarm.routes.of('brain')]).toEqual([['brain'], ['out']])
  await r.swarm.component('in').emit('input_received', 1)
  await r.swarm.idle()
  expect(heard).toEqual([1])
  expect([await r.swarm.remove('brain'), await r.swarm.remove('brain')]).toEqual([true, false])
  expect(r.swarm.routes.of('in')).toEqual([])
  expect(faultIn(() => r.swarm.component('brian')).code).toBe('UNKNOWN_AGENT')
  await r.swarm.stop()
  expect((await faultOf(r.swarm.add({ name: 'x' }))).code).toBe('NOT_RUNNING')
})
