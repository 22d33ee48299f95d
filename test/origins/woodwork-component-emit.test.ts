import { expect, test } from 'vitest'
import { type CodeComponent, currentComponent, type EventInfo, isRouted } from '../../src/component/index.ts'
import { createSwarm } from '../../src/component/swarm.ts'
import { openBus } from '../../src/index.ts'
import { sink, swarmOf } from './support/components.ts'
import { faultIn, faultOf, gate } from './support/woodwork.ts'

test('[W27] emit tells listeners, shows to hooks, changes by pipes, then goes to the targets, in the session of the message in hand', async () => {
  const steps: string[] = []
  const out: unknown[] = []
  await using r = await swarmOf([
    { name: 'in', role: 'input', to: 'mid' },
    { name: 'mid', to: ['out'], handle: ({ data }) => `${String(data)}!` },
    { name: 'out', role: 'output', handle: ({ data, session, from }) => void out.push([data, session, from]) },
  ])
  const source = r.swarm.component('in')
  source.hook('input_received', (payload) => void steps.push(`hook ${String(payload)}`))
  source.pipe('input_received', (payload) => {
    steps.push('pipe')
    return `${String(payload)} there`
  })
  source.on('input_received', (payload) => void steps.push(`listener ${String(payload)}`))
  const result = await source.emit('input_received', 'hi', { session: 's7' })
  expect(result).toEqual({ payload: 'hi there', delivered: ['mid'], failed: [], stoppedBy: undefined })
  await r.swarm.idle()
  expect(steps).toEqual(['hook hi', 'pipe', 'listener hi there'])
  expect(out).toEqual([['hi there!', 's7', 'mid']])
})

test('[W27] a component is sent to directly, whatever the routes say', async () => {
  const seen: unknown[] = []
  await using r = await swarmOf([
    { name: 'in', role: 'input', to: 'out' },
    sink('out', seen),
    { name: 'analytics', handle: ({ data, headers }) => void seen.push(['analytics', headers.event, data]) },
  ])
  const result = await r.swarm.component('in').send('analytics', 'metrics', { latency: 42 })
  expect(result.delivered).toEqual(['analytics'])
  await r.swarm.idle()
  expect(seen).toEqual([['analytics', 'metrics', { latency: 42 }]])
})

test('[W33] events of the list, with the endings and of the component go on; others are only told', async () => {
  const names = ['input_received', 'input_processed', 'response_generated', 'processing_complete', 'result_ready']
  const more = ['output_generated', 'task_complete', 'data_processed', 'image_generated', 'index_ready', 'x_received']
  const ours = ['agent.response', 'tool.observation', 'component.response', 'input.received']
  for (const name of [...names, ...more, ...ours]) expect([name, isRouted(name)]).toEqual([name, true])
  for (const name of ['agent.thought', 'metrics', 'generated', 'tool.call']) {
    expect([name, isRouted(name)]).toEqual([name, false])
  }

  const heard: unknown[] = []
  await using r = await swarmOf([
    { name: 'a', to: 'out', routes: ['custom.event'], produces: 'made' },
    sink('out', heard),
  ])
  const a = r.swarm.component('a')
  const told: string[] = []
  a.on('*', (_payload, { event }) => void told.push(event))
  for (const event of ['custom.event', 'made', 'silent', 'index_ready']) await a.emit(event, event)
  await a.emit('index_ready', 'not this one', { route: false })
  await r.swarm.idle()
  expect(heard).toEqual(['custom.event', 'made', 'index_ready'])
  expect(told).toEqual(['custom.event', 'made', 'silent', 'index_ready', 'index_ready'])
})

test('[W45] data goes untouched; event, source and time are in the envelope', async () => {
  let got: unknown
  let info: EventInfo | undefined
  await using r = await swarmOf([
    { name: 'a', kind: 'llm echo', to: 'b' },
    { name: 'b', handle: (message) => void (got = message) },
  ])
  const a = r.swarm.component('a')
  a.hook('response_generated', (payload, about) => {
    expect(payload).toEqual({ text: 'x' })
    info = about
  })
  await a.emit('response_generated', { text: 'x' }, { session: 's' })
  await r.swarm.idle()
  const time = r.env.wallMs()
  expect(got).toMatchObject({ data: { text: 'x' }, from: 'a', to: 'b', session: 's', time })
  expect((got as { headers: object }).headers).toEqual({ event: 'response_generated' })
  expect(info).toEqual({ event: 'response_generated', component: 'a', componentType: 'llm echo', session: 's', time })
})

test('[W46] [WN17] hooks run beside the message on what they cannot change; their faults are counted and isolated', async () => {
  const heard: unknown[] = []
  const slow = gate()
  await using r = await swarmOf([{ name: 'a', to: 'out' }, sink('out', heard)])
  const a = r.swarm.component('a')
  let finished = 0
  a.hook('result_ready', (payload) => {
    ;(payload as { card: string }).card = 'stolen'
  })
  a.hook('result_ready', () => {
    throw new Error('sync')
  })
  a.hook('result_ready', async () => {
    await slow.opened
    finished++
    throw new Error('late')
  })
  a.hook('result_ready', async (payload) => {
    ;(payload as { tags: Set<string> }).tags.add('changed')
  })
  const result = await a.emit('result_ready', { card: '42', tags: new Set(['x']) })
  expect(result.delivered).toEqual(['out'])
  await r.swarm.idle()
  expect(heard).toEqual([{ card: '42', tags: new Set(['x']) }])
  expect(finished).toBe(0)
  expect(r.swarm.stats().events).toMatchObject({ hooksExecuted: 4, hookFailures: 2 })
  slow.open()
  await r.env.settle()
  expect(finished).toBe(1)
  expect(r.swarm.stats().events.hookFailures).toBe(3)
  expect(r.swarm.faults().map((one) => [one.type, one.component, one.event])).toEqual(
    Array.from({ length: 3 }, () => ['hook', 'a', 'result_ready']),
  )
})

test('[W47] pipes run in declared order on the former result; without a result nothing changes; promises are awaited', async () => {
  const heard: unknown[] = []
  await using r = await swarmOf([{ name: 'a', to: 'out' }, sink('out', heard)])
  const a = r.swarm.component('a')
  r.swarm.pipe('result_ready', (payload) => `${String(payload)}d`)
  a.pipe('result_ready', (payload) => `${String(payload)}b`)
  a.pipe('result_ready', () => undefined)
  a.pipe('result_ready', async (payload) => {
    await Promise.resolve()
    return `${String(payload)}c`
  })
  expect((await a.emit('result_ready', 'a')).payload).toBe('abcd')
  a.pipe('task_complete', (payload) => {
    ;(payload as { n: number }).n = 99
  })
  const mine = { n: 1 }
  expect((await a.emit('task_complete', mine)).payload).toEqual({ n: 1 })
  a.pipe('data_processed', (payload) => {
    ;(payload as { n: number }).n++
    return payload
  })
  expect((await a.emit('data_processed', mine)).payload).toEqual({ n: 2 })
  await r.swarm.idle()
  expect(heard).toEqual(['abcd', { n: 1 }, { n: 2 }])
})

test.each([['at once'], ['later']])(
  '[W47] [WN17] a pipe that throws %s stops the message, and names itself',
  async (when) => {
    const heard: unknown[] = []
    const listened: unknown[] = []
    await using r = await swarmOf([{ name: 'a', to: 'out' }, sink('out', heard)])
    const a = r.swarm.component('a')
    const redact = (): unknown => {
      if (when === 'later') return Promise.reject(new Error('no pattern'))
      throw new Error('no pattern')
    }
    a.pipe('result_ready', redact)
    a.pipe('result_ready', () => 'never')
    a.on('result_ready', (payload) => void listened.push(payload))
    const result = await a.emit('result_ready', 'card 4242', { session: 's1' })
    expect(result).toEqual({ payload: 'card 4242', delivered: [], failed: [], stoppedBy: 'redact' })
    await r.swarm.idle()
    expect([heard, listened]).toEqual([[], []])
    const [failure] = r.bus.failures()
    expect(failure).toMatchObject({ name: 'a', outcome: 'failed', message: { data: 'card 4242', session: 's1' } })
    expect(failure?.error).toMatchObject({ code: 'PIPE_FAILED', details: { pipe: 'redact', component: 'a' } })
    expect(r.swarm.stats().events.pipeFailures).toBe(1)
    expect(r.swarm.faults()[0]).toMatchObject({ type: 'pipe', component: 'a', event: 'result_ready' })
  },
)

test('[W47] with a log what a pipe stops is a dead letter that names the pipe; a redrive goes through the pipes again', async () => {
  const heard: unknown[] = []
  let broken = true
  await using bus = await openBus('memory:')
  await using swarm = createSwarm({ bus })
  const a = await swarm.add({ name: 'a', to: 'out' })
  await swarm.add(sink('out', heard))
  await swarm.start()
  a.pipe(
    'result_ready',
    (payload) => {
      if (broken) throw new Error('down')
      return String(payload).replace(/\d/g, '*')
    },
    { name: 'redact' },
  )
  await a.emit('result_ready', 'card 42')
  await swarm.idle()
  const [dead, ...others] = await bus.deadLetters.list()
  expect(others).toEqual([])
  expect(dead).toMatchObject({ code: 'PIPE_FAILED', message: { data: 'card 42', from: 'a' } })
  expect(dead?.error).toContain('pipe "redact" of "a"')
  await bus.deadLetters.redrive(dead?.id as string)
  await expect.poll(() => bus.deadLetters.count()).toBe(1)
  expect(heard).toEqual([])
  broken = false
  await bus.deadLetters.redrive((await bus.deadLetters.list())[0]?.id as string)
  await expect.poll(() => heard).toEqual(['card **'])
  await swarm.idle()
  expect(await bus.deadLetters.count()).toBe(0)
})

test('[W47] an optional pipe that throws is passed by', async () => {
  const heard: unknown[] = []
  await using r = await swarmOf([{ name: 'a', to: 'out' }, sink('out', heard)])
  const a = r.swarm.component('a')
  a.pipe('result_ready', () => Promise.reject(new Error('x')), { optional: true })
  a.pipe(
    'result_ready',
    () => {
      throw new Error('y')
    },
    { optional: true },
  )
  a.pipe('result_ready', (payload) => `${String(payload)}!`)
  expect((await a.emit('result_ready', 'on')).payload).toBe('on!')
  expect(r.swarm.stats().events.pipeFailures).toBe(2)
  await r.swarm.idle()
  expect(heard).toEqual(['on!'])
})

test('[W48] off ends hooks, pipes and listeners; a hook may see the result instead; the order is kept', async () => {
  const steps: string[] = []
  await using r = await swarmOf([{ name: 'a' }])
  const a = r.swarm.component('a')
  const note =
    (what: string) =>
    (payload: unknown): void =>
      void steps.push(`${what} ${String(payload)}`)
  const before = note('hook')
  a.on('x', note('listener'))
  const endAfter = a.hook('x', note('after'), { after: true })
  const change = (payload: unknown): string => `${String(payload)}+`
  a.pipe('x', change)
  a.hook('x', before)
  await a.emit('x', 'p')
  expect(steps.splice(0)).toEqual(['hook p', 'after p+', 'listener p+'])
  expect([a.off('x', before), a.off('x', before), a.off('y', change), a.off('x', change)]).toEqual([
    true,
    false,
    false,
    true,
  ])
  endAfter()
  await a.emit('x', 'q')
  expect(steps.splice(0)).toEqual(['listener q'])
  expect(await a.emit('nobody.knows', 1)).toMatchObject({ delivered: [], failed: [] })
})

test('[W49] functions are added for one component or all of them, and what is not awaited is still reported', async () => {
  const all: string[] = []
  const one: string[] = []
  await using r = await swarmOf([{ name: 'a' }, { name: 'b' }])
  const [a, b] = [r.swarm.component('a'), r.swarm.component('b')]
  r.swarm.on('tool.*', (_payload, { component, event }) => void all.push(`${component} ${event}`))
  a.on('tool.error', (_payload, { component }) => void one.push(component))
  await a.emit('tool.error', { tool: 't', error: 'e' })
  await b.emit('tool.error', { tool: 't', error: 'e' })
  await b.emit('toolbox', 1)
  expect(all).toEqual(['a tool.error', 'b tool.error'])
  expect(one).toEqual(['a'])

  a.emitSoon('tool.call', 'no object')
  b.emitSoon('result_ready', 'gone', { target: 'nobody' })
  await r.swarm.idle()
  expect(r.swarm.faults().map(({ type, component, event }) => [type, component, event])).toEqual([
    ['emit', 'a', 'tool.call'],
    ['route', 'b', 'result_ready'],
  ])
})

test('[W54] who is at work is known along asynchronous calls, in hooks and in generators', async () => {
  const seen: unknown[] = []
  const look = async (where: string): Promise<void> => {
    await new Promise<void>((resolve) => setImmediate(resolve))
    seen.push([where, currentComponent()])
  }
  await using r = await swarmOf([
    {
      name: 'a',
      kind: 'tool',
      to: 'b',
      async handle({ data }) {
        await look('handler')
        return data
      },
    },
    {
      name: 'b',
      kind: 'llm',
      async *handle() {
        yield 1
        await look('generator')
      },
    },
  ])
  expect(currentComponent()).toBeUndefined()
  r.swarm.component('b').hook('response_generated', () => look('hook'))
  await r.bus.send('a', 'x', { session: 's' })
  await r.swarm.idle()
  await expect.poll(() => seen.length).toBe(3)
  expect(seen).toEqual([
    ['handler', { component: 'a', kind: 'tool', session: 's' }],
    ['generator', { component: 'b', kind: 'llm', session: 's' }],
    ['hook', { component: 'b', kind: 'llm', session: 's' }],
  ])
})

test('[WN12] what a component returns is awaited, whatever kind of promise it is', async () => {
  const heard: unknown[] = []
  const open = gate()
  await using r = await swarmOf([
    { name: 'arrow', to: 'out', handle: async () => open.opened.then(() => 'arrow') },
    { name: 'thenable', to: 'out', handle: () => foreign(open.opened.then(() => 'thenable')) },
    sink('out', heard),
  ])
  await r.bus.send('arrow', 1)
  await r.bus.send('thenable', 1)
  await r.env.settle()
  expect(heard).toEqual([])
  expect(r.bus.stats().ledger.handled).toBe(0)
  open.open()
  await r.swarm.idle()
  expect(heard.toSorted()).toEqual(['arrow', 'thenable'])
  const wrong = { name: 'object', handle: { call: () => 1 } } as unknown as CodeComponent
  expect((await faultOf(r.swarm.add(wrong))).code).toBe('INVALID_OPTION')
})

test('[WN16] a target that throws is counted, at the component and on the bus', async () => {
  const heard: unknown[] = []
  await using r = await swarmOf([
    { name: 'a', to: ['bad', 'out'] },
    {
      name: 'bad',
      handle() {
        throw new Error('broken')
      },
    },
    sink('out', heard),
  ])
  expect((await r.swarm.component('a').emit('result_ready', 1)).delivered).toEqual(['bad', 'out'])
  await r.swarm.idle()
  expect(heard).toEqual([1])
  expect(r.swarm.stats().components.bad).toMatchObject({ received: 1, handlingFailures: 1 })
  expect(r.bus.stats().channels.agent?.ledger).toMatchObject({ handled: 1, failed: 1 })
  expect(r.swarm.faults()).toMatchObject([{ type: 'component', component: 'bad' }])
  expect(r.swarm.faults()[0]?.message).toContain('"bad" failed (handler-error): Error: broken')
  expect(r.bus.failures()[0]).toMatchObject({ name: 'bad', reason: 'handler-error' })
})

test('[WN25] a hook runs once for each event, also when it was added in several ways', async () => {
  let runs = 0
  await using r = await swarmOf([
    { name: 'a', to: 'b' },
    { name: 'b', handle: () => undefined },
  ])
  const a = r.swarm.component('a')
  const count = (): void => void runs++
  a.hook('result_ready', count)
  a.hook('*', count)
  r.swarm.hook('result_ready', count)
  await a.emit('result_ready', 1)
  await r.swarm.idle()
  expect(runs).toBe(1)
  expect(faultIn(() => a.hook('', () => undefined)).code).toBe('INVALID_OPTION')
  expect((await faultOf(a.emit('', 1))).code).toBe('INVALID_OPTION')
})

/** What another library might return in place of a promise. */
function foreign(promise: Promise<unknown>): PromiseLike<unknown> {
  class Foreign implements PromiseLike<unknown> {
    // biome-ignore lint/suspicious/noThenProperty: to be awaited is what it is for
    readonly then = promise.then.bind(promise)
  }
  return new Foreign()
}
