import { expect, test } from 'vitest'
import { defineTopic, type Handler, type Message, type StandardSchema } from '../../src/index.ts'
import { faultOf, gate, isSettled, range, rig } from './support/woodwork.ts'

class ToolEvent {
  readonly tool: string
  readonly args: readonly unknown[]
  constructor(tool: string, args: readonly unknown[]) {
    this.tool = tool
    this.args = args
  }
}

class TimedToolEvent extends ToolEvent {
  readonly tookMs: number
  constructor(tool: string, args: readonly unknown[], tookMs: number) {
    super(tool, args)
    this.tookMs = tookMs
  }
}

const toolSchema: StandardSchema<TimedToolEvent> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => {
      const { tool, args, tookMs } = value as TimedToolEvent
      if (typeof tool !== 'string') return { issues: [{ message: 'no tool', path: ['tool'] }] }
      return { value: new TimedToolEvent(tool, args, tookMs) }
    },
  },
}

test('[L8] an event has id, time, headers and no session, and its subclass fields survive text and come back by the schema', async () => {
  const contract = defineTopic('tool.done', toolSchema)
  await using r = rig({ topics: [contract] })
  const { bus, env } = r
  const seen: Message[] = []
  bus.subscribe('>', (message) => void seen.push(message))
  const first = await bus.publish('raw', new TimedToolEvent('grep', ['x', { deep: [1] }], 12))
  const second = await bus.publish('raw', 'plain', { session: 's', headers: { trace: 't1' } })
  await env.settle()
  expect(first.id).not.toBe(second.id)
  expect(seen[0]).toMatchObject({ id: first.id, time: env.wallMs(), session: undefined, headers: {} })
  expect(seen[1]).toMatchObject({ id: second.id, session: 's', headers: { trace: 't1' } })

  const text = JSON.parse(JSON.stringify(seen[0])) as Message
  expect(text).toMatchObject({ id: first.id, topic: 'raw', time: env.wallMs(), headers: {} })
  expect(text.data).toEqual({ tool: 'grep', args: ['x', { deep: [1] }], tookMs: 12 })
  await bus.publish('tool.done', text.data)
  await env.settle()
  expect(seen[2]?.data).toBeInstanceOf(TimedToolEvent)
  expect(seen[2]?.data).toEqual(new TimedToolEvent('grep', ['x', { deep: [1] }], 12))
  expect((await faultOf(bus.publish('tool.done', { tool: 1 }))).code).toBe('SCHEMA_MISMATCH')
})

test('[L9] publishing waits for the handlers of this event only, or just for the acceptance', async () => {
  await using r = rig()
  const { bus, env } = r
  const own = gate()
  const other = gate()
  bus.subscribe('own', () => own.opened)
  bus.subscribe('other', () => other.opened)
  void bus.publish('other', 1)
  const accepted = bus.publish('own', 1)
  const handled = bus.publish('own', 2, { until: 'handled' })
  expect(await isSettled(accepted, env)).toBe(true)
  expect(await isSettled(handled, env)).toBe(false)
  own.open()
  expect(await isSettled(handled, env)).toBe(true)
  expect((await handled).deliveries).toMatchObject([{ outcome: 'handled' }])
  expect(bus.stats().ledger.pending).toBe(1)
  other.open()
})

test('[L9] [LN2] publishing and awaiting inside a handler works and takes no time', async () => {
  await using r = rig()
  const { bus, env } = r
  const order: string[] = []
  bus.subscribe('outer', async (_, context) => {
    order.push('outer begins')
    await context.bus.publish('inner', 1, { until: 'succeeded' })
    order.push('outer ends')
  })
  bus.subscribe('inner', async () => {
    await env.settle()
    order.push('inner')
  })
  const outer = bus.publish('outer', 1, { until: 'succeeded' })
  while (!(await isSettled(outer, env)) && order.length < 3) await env.settle()
  await outer
  expect(order).toEqual(['outer begins', 'inner', 'outer ends'])
  expect(env.monotonicMs()).toBe(0)
})

test('[L10] an event reaches the handlers without a session and those of its own, by exact topic; wildcards are explicit', async () => {
  await using r = rig()
  const { bus, env } = r
  const heard: string[] = []
  const hear =
    (name: string): Handler =>
    ({ session, topic }) =>
      void heard.push(`${name}: ${topic} ${session ?? 'BUS'}`)
  bus.subscribe('log.line', hear('bus'))
  bus.session('s1').subscribe('log.line', hear('s1'))
  bus.session('s2').subscribe('log.line', hear('s2'))
  bus.subscribe('log', hear('parent'))
  bus.subscribe('log.*', hear('wildcard'))
  expect((await bus.publish('log.line', 1)).recipients).toBe(2)
  expect((await bus.publish('log.line', 1, { session: 's1' })).recipients).toBe(3)
  expect((await bus.publish('log.line', 1, { session: 's3' })).recipients).toBe(2)
  expect((await bus.publish('log.line.more', 1)).recipients).toBe(0)
  await env.settle()
  expect(heard.sort()).toEqual(
    [
      'bus: log.line BUS',
      'bus: log.line s1',
      'bus: log.line s3',
      's1: log.line s1',
      'wildcard: log.line BUS',
      'wildcard: log.line s1',
      'wildcard: log.line s3',
    ].sort(),
  )
})

test('[L11] handlers of a lower rank are done before those of a higher one begin, inside a rank they run together', async () => {
  await using r = rig()
  const { bus, env } = r
  const order: string[] = []
  const gates = new Map<string, ReturnType<typeof gate>>()
  const add = (name: string, rank?: number, fails = false): void => {
    const wait = gate()
    gates.set(name, wait)
    const handler = async (): Promise<void> => {
      order.push(`+${name}`)
      await wait.opened
      order.push(`-${name}`)
      if (fails) throw new Error(name)
    }
    bus.subscribe('t', handler, rank === undefined ? { name } : { name, rank })
  }
  add('lowest', 100)
  add('low', 90)
  add('normal')
  add('fifty', 50)
  add('high', 10, true)
  add('highest', 0)
  const published = bus.publish('t', 1, { until: 'handled' })
  const steps = [['highest'], ['high'], ['fifty', 'normal'], ['low'], ['lowest']]
  for (const names of steps) {
    await env.settle()
    expect(order.splice(0)).toEqual(names.toReversed().map((name) => `+${name}`))
    for (const name of names) gates.get(name)?.open()
    await env.settle()
    expect(order.splice(0, names.length)).toEqual(names.map((name) => `-${name}`))
  }
  expect((await published).deliveries?.map(({ name }) => name)).toEqual(steps.flat())
  for (const rank of [-1, 101, 0.5]) expect(() => bus.subscribe('t', () => undefined, { rank })).toThrow('rank')
})

test('[L12] [LN11] events of a session keep their order, and a slow handler of one session holds up no other', async () => {
  await using r = rig()
  const { bus, env } = r
  const seen: string[] = []
  bus.subscribe('t', async ({ session, data }) => {
    if (session === 'slow') await new Promise<void>((resolve) => void env.after(1_000, resolve))
    else for (let turn = (data as number) % 3; turn > 0; turn--) await Promise.resolve()
    seen.push(`${session} ${String(data)}`)
  })
  await bus.publish('t', 0, { session: 'slow' })
  const second = bus.publish('t', 0, { session: 'fast', until: 'handled' })
  expect(await isSettled(second, env)).toBe(true)
  expect(env.monotonicMs()).toBe(0)
  for (const n of [1, 2, 3, 4]) for (const session of ['slow', 'fast', 'third']) await bus.publish('t', n, { session })
  await env.settle()
  const of = (session: string) => seen.filter((one) => one.startsWith(session))
  expect(of('fast')).toEqual(range(5).map((n) => `fast ${n}`))
  expect(of('third')).toEqual([1, 2, 3, 4].map((n) => `third ${n}`))
  expect(of('slow')).toEqual([])
  await env.advance(5_100)
  expect(of('slow')).toEqual(range(5).map((n) => `slow ${n}`))
})

test('[L12] [LN2] an event published and awaited inside a handler of its session runs at once as its child', async () => {
  await using r = rig()
  const { bus, env } = r
  const order: string[] = []
  bus.subscribe(['step', 'sub.*'], async ({ topic, data }, context) => {
    order.push(`+${topic} ${String(data)}`)
    if (topic === 'step' && data === 1) await context.bus.publish('sub.a', 'child', { until: 'succeeded' })
    if (topic === 'sub.a') await context.bus.publish('sub.b', 'grandchild', { until: 'handled' })
    order.push(`-${topic} ${String(data)}`)
  })
  const first = bus.publish('step', 1, { session: 's', until: 'handled' })
  const next = bus.publish('step', 2, { session: 's', until: 'handled' })
  expect(await isSettled(first, env), 'a child of the same session must not wait for its parent').toBe(true)
  await next
  expect(env.monotonicMs()).toBe(0)
  expect(order).toEqual([
    '+step 1',
    '+sub.a child',
    '+sub.b grandchild',
    '-sub.b grandchild',
    '-sub.a child',
    '-step 1',
    '+step 2',
    '-step 2',
  ])
})

test('[LN2] an awaited publish to its own handler, without a session, does not deadlock either', async () => {
  await using r = rig()
  const { bus, env } = r
  const seen: unknown[] = []
  bus.subscribe('t', async ({ data }, context) => {
    if ((data as number) < 3) await context.bus.publish('t', (data as number) + 1, { until: 'succeeded' })
    seen.push(data)
  })
  const published = bus.publish('t', 0, { until: 'succeeded' })
  expect(await isSettled(published, env)).toBe(true)
  expect(seen).toEqual([3, 2, 1, 0])
  expect(env.monotonicMs()).toBe(0)
})

test('[L13] a failing handler stops no other, is recorded and announced as an event, and reaches a publisher that wants it', async () => {
  await using r = rig({ failures: 3 })
  const { bus, env } = r
  const seen: unknown[] = []
  const announced: unknown[] = []
  bus.subscribe('_bus.message.failed', ({ data }) => void announced.push(data))
  const fails =
    (text: string): Handler =>
    async () => {
      await env.settle()
      throw new Error(text)
    }
  bus.subscribe('t', fails('first'), { name: 'one' })
  bus.subscribe('t', async ({ data }) => void seen.push(data), { name: 'good' })
  bus.subscribe(
    't',
    async (...given) => {
      await env.settle()
      return fails('last')(...given)
    },
    { name: 'two' },
  )
  const quiet = await bus.publish('t', 1)
  await bus.idle()
  expect(quiet.recipients).toBe(3)
  expect(seen).toEqual([1])
  await env.settle()
  expect(announced).toMatchObject([
    { id: quiet.id, topic: 't', name: 'one', outcome: 'failed', error: 'Error: first' },
    { id: quiet.id, topic: 't', name: 'two', outcome: 'failed', error: 'Error: last' },
  ])
  await expect(bus.publish('t', 2, { until: 'succeeded' })).rejects.toThrow('last')
  expect(seen).toEqual([1, 2])
  expect(bus.failures().map(({ error }) => (error as Error).message)).toEqual(['last', 'first', 'last'])
})

test('[L13] the newest 1,000 errors are kept by default', async () => {
  await using r = rig()
  const { bus } = r
  bus.subscribe('t', ({ data }) => {
    throw new Error(String(data))
  })
  for (const n of range(1_010)) await bus.publish('t', n)
  await bus.idle()
  expect(bus.failures().map(({ message }) => message.data)).toEqual(range(1_000).map((n) => n + 10))
  expect(bus.failures(2).map(({ message }) => message.data)).toEqual([1_008, 1_009])
  expect(bus.stats()).toMatchObject({ failures: 1_010, config: { failures: 1_000 } })
})

test('[LN2] a handler of failure events that fails itself does not recurse', async () => {
  await using r = rig()
  const { bus, env } = r
  let calls = 0
  bus.subscribe('t', () => Promise.reject(new Error('original')))
  bus.subscribe('_bus.>', () => {
    calls++
    throw new Error('in the handler of failures')
  })
  await bus.publish('t', 1)
  await env.advance(60_000)
  expect(calls).toBe(1)
  expect(bus.failures().map(({ error }) => (error as Error).message)).toEqual([
    'original',
    'in the handler of failures',
  ])
  expect(bus.stats().ledger).toMatchObject({ published: 2, failed: 2, pending: 0 })
})

test('[LN1] 1,000 awaited publishes in sequence need no timer: the clock does not move', async () => {
  await using r = rig()
  const { bus, env } = r
  let handled = 0
  bus.subscribe('t', () => void handled++)
  for (const n of range(1_000)) {
    await bus.publish('t', n, { until: 'handled' })
    expect(handled).toBe(n + 1)
  }
  expect(env.monotonicMs()).toBe(0)
  expect(env.timers).toBe(0)
})

test('[LN12] a single event on an idle bus waits for nothing', async () => {
  await using r = rig()
  const { bus, env } = r
  const at: number[] = []
  bus.subscribe('t', () => void at.push(env.monotonicMs()))
  for (const n of range(10)) {
    await env.advance(3_600_000)
    await bus.publish('t', n)
    // Only promises get their turn here, no turn of the event loop and no timer.
    for (let turn = 0; turn < 5 && at.length <= n; turn++) await Promise.resolve()
    expect(at).toHaveLength(n + 1)
    expect(env.timers).toBe(0)
  }
  expect(at).toEqual(range(10).map((n) => (n + 1) * 3_600_000))
})
