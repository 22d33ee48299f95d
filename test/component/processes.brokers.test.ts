import { describe, expect, test } from 'vitest'
import type { Chunk } from '../../src/bus/publisher.ts'
import { type Component, createSwarm, type Swarm } from '../../src/component/index.ts'
import type { Bus, OpenOptions } from '../../src/index.ts'
import { BROKERS } from '../kept/brokers.ts'
import { type Child, childOn } from '../kept/children.ts'
import { faultOf, gate, range } from '../origins/support/woodwork.ts'

const DOOR = new URL('../../src/component/index.ts', import.meta.url).href
const QUICK = { defaults: { retry: { attempts: 2, firstDelayMs: 5 } } } as const

/** A process of its own with these components, which are code; `swarm` is there. */
function elsewhere(url: string, components: string): Child {
  return childOn(
    url,
    JSON.stringify(QUICK),
    `
    const { createSwarm } = await import(${JSON.stringify(DOOR)})
    const swarm = createSwarm({ bus, onFault: ({ type, message }) => say('fault ' + type + ' ' + message) })
    ${components}
    await swarm.start()
    say('started')
  `,
  )
}

async function here(open: (options: OpenOptions) => Promise<Bus>, build: (swarm: Swarm) => Promise<void>) {
  const bus = await open(QUICK)
  const swarm = createSwarm({ bus })
  await build(swarm)
  await swarm.start()
  return {
    bus,
    swarm,
    async [Symbol.asyncDispose]() {
      await swarm.stop({ limitMs: 1_000 })
      await bus.close()
    },
  }
}

describe.each(BROKERS)('on $name', ({ make }) => {
  test('[W27] [W39] [W45] [W54] a chain goes through another process and back: in order, in its session, with its causes; each target has its result', async () => {
    await using store = make()
    const child = elsewhere(
      await store.url(),
      `await swarm.add({ name: 'brain', role: 'agent', to: 'out', handle: ({ data, from }) => data + ' by ' + from })
       await swarm.add({ name: 'side', handle: ({ headers, data }) => say('side ' + headers.event + ' ' + data) })`,
    )
    await child.said('started')
    const heard: Record<string, [string, number, string | undefined][]> = {}
    await using own = await here(store.open, async (swarm) => {
      await swarm.add({ name: 'in', role: 'input', to: ['brain', 'brian', 'side'] })
      await swarm.add({
        name: 'out',
        role: 'output',
        handle: ({ data, session = '', hops, from }) => void (heard[session] ??= []).push([String(data), hops, from]),
      })
    })
    const { swarm, bus } = own
    await expect.poll(() => bus.processes().flatMap((one) => one.agents).length).toBe(2)
    expect(swarm.routes.validate().issues.map((one) => one.message)).toEqual([
      '"in" goes to "brian", which does not exist; did you mean "brain"?',
    ])
    const source = swarm.component('in')
    for (const n of range(30)) {
      const { delivered, failed } = await source.emit('input_received', n, { session: `s${n % 3}` })
      expect(delivered).toEqual(['brain', 'side'])
      expect(failed).toMatchObject([{ target: 'brian', error: { code: 'UNKNOWN_AGENT' } }])
    }
    const wanted = (session: number) =>
      range(10).map((n) => [`${n * 3 + session} by in`, 1, 'brain'] as [string, number, string])
    await expect.poll(() => Object.values(heard).flat().length, { timeout: 20_000 }).toBe(30)
    expect(heard).toEqual({ s0: wanted(0), s1: wanted(1), s2: wanted(2) })
    await child.said('side', 30)
    expect(child.after('side').toSorted()).toEqual(
      range(30)
        .map((n) => `input_received ${n}`)
        .toSorted(),
    )
    await swarm.idle()
    expect(swarm.stats().router).toMatchObject({ messagesRouted: 60, routingFailures: 30 })
    // What had nowhere to go is a dead letter each.
    expect(await bus.deadLetters.count()).toBe(30)
  }, 60_000)

  test('[W28] [W29] [W30] [W31] components ask components of another process, in every way, and get each kind of error', async () => {
    await using store = make()
    const child = elsewhere(
      await store.url(),
      `await swarm.add({ name: 'double', concurrency: 20, handle: ({ data, session, from }) => [data * 2, session, from] })
       await swarm.add({ name: 'broken', handle() { throw new Error('no luck') } })
       await swarm.add({ name: 'silent', handle: (_message, { signal }) => new Promise(() => {
         signal.addEventListener('abort', () => say('aborted'))
       }) })
       await swarm.add({ name: 'llm', async *handle({ data }) {
         yield 'a'
         yield new Uint8Array([1, 2])
         if (data === 'fail') throw new Error('torn')
       } })`,
    )
    await child.said('started')
    await using own = await here(store.open, async (swarm) => {
      await swarm.add({
        name: 'me',
        handle: async ({ data }) => swarm.component('me').request('double', data),
      })
    })
    const me = own.swarm.component('me')
    await expect.poll(() => own.bus.processes().flatMap((one) => one.agents).length).toBe(4)
    expect(await me.request('double', 21)).toEqual([42, undefined, 'me'])
    expect(await me.message().to('double').withData(1).session('s').timeout(5).sendAndWait()).toEqual([2, 's', 'me'])
    // What is asked while a message is in hand belongs to its session.
    expect(await me.request('me', 5, { session: 's5' })).toEqual([10, 's5', 'me'])
    const many = await me.requestMultiple(range(20).map((n) => ['double', n] as const))
    expect(many).toEqual(range(20).map((n) => [n * 2, undefined, 'me']))
    const broken = await faultOf(me.request('broken', 1))
    expect(broken.code).toBe('HANDLER_FAILED')
    expect(broken.message).toContain('no luck')
    expect((await faultOf(me.request('doubel', 1))).code).toBe('UNKNOWN_AGENT')
    expect((await faultOf(me.request('silent', 1, { timeoutMs: 50 }))).code).toBe('REQUEST_TIMEOUT')
    await child.said('aborted')
    const context = me.requestContext('silent')
    const open = faultOf(context.send(1))
    context[Symbol.dispose]()
    expect((await open).code).toBe('CANCELLED')
    const chunks = async (data: string): Promise<readonly Chunk[]> => Array.fromAsync(me.requestStream('llm', data))
    expect((await chunks('go')).map(({ data, index, final }) => [data, index, final])).toEqual([
      ['a', 0, false],
      [new Uint8Array([1, 2]), 1, false],
      [undefined, 2, true],
    ])
    expect((await chunks('fail')).at(-1)).toMatchObject({
      final: true,
      metadata: { error: { code: 'HANDLER_FAILED' } },
    })
    expect(own.swarm.stats().components.me).toMatchObject({ requests: 30, requestFailures: 5 })
  }, 60_000)

  test('[W59] streams go from process to process: read part by part where that is wanted, and whole everywhere else', async () => {
    await using store = make()
    const child = elsewhere(
      await store.url(),
      `let own
       await swarm.add({ name: 'screen', role: 'output', streamingInput: true, start: (it) => { own = it }, async handle({ data }) {
         for await (const chunk of own.readStream(data)) if (!chunk.final) say('part ' + chunk.data)
         say('end')
       } })
       await swarm.add({ name: 'file', role: 'output', handle: ({ data }) => say('whole ' + data) })
       await swarm.add({ name: 'llm', to: 'back', streamingOutput: true, async *handle() { yield 'Hel'; yield 'lo' } })`,
    )
    await child.said('started')
    const heard: unknown[] = []
    const next = gate()
    await using own = await here(store.open, async (swarm) => {
      await swarm.add({
        name: 'teller',
        to: ['screen', 'file'],
        streamingOutput: true,
        async *handle() {
          yield 'once '
          await next.opened
          yield 'upon'
        },
      })
      await swarm.add({ name: 'source', to: ['screen', 'file'], routes: ['audio'] })
      await swarm.add({
        name: 'back',
        role: 'output',
        streamingInput: true,
        handle: ({ data }) => void heard.push(data),
      })
    })
    const { swarm, bus } = own
    await expect.poll(() => bus.processes().flatMap((one) => one.agents).length).toBe(3)
    const source: Component = swarm.component('source')
    const stream = source.openStream({ type: 'text' })
    await source.emit('audio', stream.reference)
    for (const part of ['x', 'y']) await stream.write(part)
    await child.said('part y')
    await stream.write('z')
    stream.complete()
    await child.said('end')
    await child.said('whole')
    expect([child.after('part'), child.after('whole')]).toEqual([['x', 'y', 'z'], ['xyz']])
    // The other process does not say whether it takes streams: it gets the whole.
    await bus.send('llm', 1)
    await expect.poll(() => heard).toEqual(['Hello'])
    await bus.send('teller', 1)
    next.open()
    await child.said('whole', 2)
    expect(child.after('whole')).toEqual(['xyz', 'once upon'])
  }, 60_000)

  test('[W47] [WN17] a pipe of another process that fails stops the message there, for everybody to see', async () => {
    await using store = make()
    const child = elsewhere(
      await store.url(),
      `const brain = await swarm.add({ name: 'brain', role: 'agent', to: 'out', handle: ({ data }) => data })
       brain.pipe('response_generated', () => { throw new Error('no pattern') }, { name: 'redact' })`,
    )
    await child.said('started')
    const heard: unknown[] = []
    await using own = await here(store.open, async (swarm) => {
      await swarm.add({ name: 'in', role: 'input', to: 'brain' })
      await swarm.add({ name: 'out', role: 'output', handle: ({ data }) => void heard.push(data) })
    })
    await own.swarm.component('in').emit('input_received', 'card 42', { session: 's' })
    await expect.poll(() => own.bus.deadLetters.count(), { timeout: 10_000 }).toBe(1)
    const [letter] = await own.bus.deadLetters.list()
    expect(letter).toMatchObject({ code: 'PIPE_FAILED', message: { data: 'card 42', from: 'brain', session: 's' } })
    expect(letter?.error).toContain('pipe "redact" of "brain"')
    await child.said('fault pipe')
    expect(heard).toEqual([])
  }, 60_000)

  test('[W78] [WN16] what a process had in hand when it was killed is done by the next one that has the component, and emitted once', async () => {
    await using store = make()
    const url = await store.url()
    const code = (name: string, isStuck: boolean): string => `
      const brain = await swarm.add({ name: 'brain', role: 'agent', to: 'out', async handle({ data }) {
        await brain.emit('result_ready', data + ' begun')
        say('took ' + data)
        ${isStuck ? 'if (data === 2) await new Promise(() => undefined)' : ''}
        return data + ' by ${name}'
      } })`
    const first = elsewhere(url, code('first', true))
    await first.said('started')
    const heard: unknown[] = []
    await using own = await here(
      (options) => store.open({ ...options, defaults: { ...QUICK.defaults } }),
      async (swarm) => {
        await swarm.add({ name: 'in', role: 'input', to: 'brain' })
        await swarm.add({ name: 'out', role: 'output', handle: ({ data }) => void heard.push(data) })
      },
    )
    for (const n of range(5)) await own.swarm.component('in').emit('input_received', n, { session: 's' })
    await first.said('took 2')
    await expect.poll(() => heard).toContain('2 begun')
    await first.kill()
    const second = elsewhere(url, code('second', false))
    await second.said('started')
    await expect.poll(() => heard.length, { timeout: 50_000 }).toBe(10)
    expect(heard).toEqual([
      ...['0 begun', '0 by first', '1 begun', '1 by first', '2 begun', '2 by second'],
      ...['3 begun', '3 by second', '4 begun', '4 by second'],
    ])
    expect(await own.bus.deadLetters.count()).toBe(0)
    await own.swarm.idle()
  }, 90_000)
})
