import { expect, test } from 'vitest'
import { type Bus, createBus, type Message } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { memoryHub, memoryWire } from '../../src/wire/memory.ts'
import { framesOf, swarm, thrown } from './swarm.ts'

test('[Z95] [ZN32] a message published in one process reaches subscribers in another, with all it says', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  const seen: Message[] = []
  b.subscribe('tasks.*', (message) => void seen.push(message))
  await all.env.settle()
  const data = {
    at: new Date(5),
    bytes: Uint8Array.of(1, 2),
    big: 10n,
    list: [undefined, Number.NaN],
    map: new Map([[1, 2]]),
  }
  const ack = await a.publish('tasks.coding', data, {
    priority: 'critical',
    session: 's',
    from: 'pink',
    headers: { tenant: 't' },
    correlationId: 'c',
    ttlMs: 5_000,
  })
  await all.env.settle()
  expect(ack.recipients).toBe(1)
  expect(seen).toHaveLength(1)
  expect(seen[0]).toMatchObject({
    id: ack.id,
    rootId: ack.id,
    data,
    priority: 'critical',
    session: 's',
    from: 'pink',
    headers: { tenant: 't' },
    correlationId: 'c',
    hops: 0,
    expiresAt: all.env.wallMs() + 5_000,
  })
})

test('[CN15] the payload is no wrapper, and the publisher does not get its own event back', async () => {
  await using all = await swarm(3)
  const [a, b, c] = all.buses as [Bus, Bus, Bus]
  const seen: unknown[] = []
  for (const [name, bus] of Object.entries({ a, b, c }))
    bus.subscribe('events', ({ data }) => void seen.push([name, data]))
  await all.env.settle()
  await a.publish('events', { hello: 1 })
  await all.env.settle()
  // Once each: by itself in its own process, not over the wire as well.
  expect(seen).toEqual([
    ['a', { hello: 1 }],
    ['b', { hello: 1 }],
    ['c', { hello: 1 }],
  ])
})

test('what nobody elsewhere wants is not put on the wire', async () => {
  await using all = await swarm(3)
  const [a, b] = all.buses as [Bus, Bus]
  a.subscribe('local.>', () => undefined)
  b.subscribe('bound', () => undefined, { session: 'mine' })
  b.subscribe('from', () => undefined, { sender: 'harold' })
  await all.env.settle()
  await a.publish('local.x', 1)
  await a.publish('nobody', 1)
  await a.publish('bound', 1, { session: 'other' })
  await a.publish('from', 1, { from: 'pink' })
  expect(framesOf(all.wires[0]!, 'message')).toEqual([])
  await a.publish('bound', 1, { session: 'mine' })
  await a.publish('from', 1, { from: 'harold' })
  expect(framesOf(all.wires[0]!, 'message')).toHaveLength(2)
})

test('a subscription that ends is wanted no more, and one that comes later gets what comes later', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  const seen: unknown[] = []
  await a.publish('t', 1)
  const one = b.subscribe('t', ({ data }) => void seen.push(data))
  await all.env.settle()
  await a.publish('t', 2)
  await all.env.settle()
  one.unsubscribe()
  await all.env.settle()
  expect((await a.publish('t', 3)).recipients).toBe(0)
  await all.env.settle()
  expect(seen).toEqual([2])
})

test('[C10] [CN3] 300 broadcasts to 3 agents in 3 processes are 900 deliveries, and the sender gets none', async () => {
  await using all = await swarm(3)
  const count = new Map<string, number>()
  for (const [at, bus] of all.buses.entries()) {
    bus.register(`agent${at}`, { handler: () => void count.set(`agent${at}`, (count.get(`agent${at}`) ?? 0) + 1) })
  }
  const sender = all.buses[0]!.register('sender', { handler: () => void count.set('sender', 1) })
  await all.env.settle()
  let ack = await sender.broadcast({ at: 0 })
  for (let at = 1; at < 300; at++) ack = await sender.broadcast({ at })
  await all.env.settle()
  expect(Object.fromEntries(count)).toEqual({ agent0: 300, agent1: 300, agent2: 300 })
  expect(ack.accepted?.toSorted()).toEqual(['agent0', 'agent1', 'agent2'])
  count.clear()
  await sender.broadcast(1, { exclude: ['agent1'], echo: true })
  await all.env.settle()
  expect(Object.fromEntries(count)).toEqual({ agent0: 1, agent2: 1, sender: 1 })
})

test('a message to more processes than eight goes out once', async () => {
  await using all = await swarm(11)
  let heard = 0
  for (const bus of all.buses.slice(1)) bus.subscribe('news', () => void heard++)
  await all.env.settle()
  await all.buses[0]!.publish('news', 1)
  await all.env.settle()
  expect(heard).toBe(10)
  expect(framesOf(all.wires[0]!, 'message')).toHaveLength(1)
})

test('[L84] send finds the agent in its process, several agents of several processes too', async () => {
  await using all = await swarm(3)
  const [a, b, c] = all.buses as [Bus, Bus, Bus]
  const seen: unknown[] = []
  b.register('pink', { handler: ({ data }) => void seen.push(['pink', data]) })
  c.register('blue', { handler: ({ data }) => void seen.push(['blue', data]) })
  a.register('red', { handler: ({ data }) => void seen.push(['red', data]) })
  await all.env.settle()
  const ack = await a.send('pink', 1)
  expect(ack.accepted).toEqual(['pink'])
  await a.send(['red', 'pink', 'blue'], 2)
  await all.env.settle()
  expect(seen.toSorted()).toEqual([
    ['blue', 2],
    ['pink', 1],
    ['pink', 2],
    ['red', 2],
  ])
  expect(await thrown(a.send('nobody', 1))).toMatchObject({ code: 'UNKNOWN_AGENT' })
})

test('messages held for an agent go to it when it registers in another process', async () => {
  await using all = await swarm(2, { unknownAgent: 'hold' })
  const [a, b] = all.buses as [Bus, Bus]
  const seen: unknown[] = []
  for (let at = 0; at < 5; at++) await a.send('late', at)
  b.register('late', { handler: ({ data }) => void seen.push(data) })
  await all.env.settle()
  await a.send('late', 5)
  await all.env.settle()
  expect(seen).toEqual([0, 1, 2, 3, 4, 5])
})

test('an agent that moves to another process gets what is sent from then on there', async () => {
  await using all = await swarm(3)
  const [a, b, c] = all.buses as [Bus, Bus, Bus]
  const seen: unknown[] = []
  const first = b.register('pink', { handler: ({ data }) => void seen.push(['b', data]) })
  await all.env.settle()
  await a.send('pink', 1)
  await all.env.settle()
  // Both at once: whoever registered last.
  c.register('pink', { handler: ({ data }) => void seen.push(['c', data]) })
  await all.env.settle()
  await a.send('pink', 2)
  await all.env.settle()
  first.unregister()
  await all.env.settle()
  await a.send('pink', 3)
  await all.env.settle()
  expect(seen).toEqual([
    ['b', 1],
    ['c', 2],
    ['c', 3],
  ])
})

test('a group spans processes: each message goes to one of them, each session always to the same one, in order', async () => {
  await using all = await swarm(4)
  const [a] = all.buses as [Bus]
  const handled: { at: number; session: string | undefined; data: unknown }[] = []
  for (const [at, bus] of all.buses.entries()) {
    bus.subscribe('jobs.*', ({ session, data }) => void handled.push({ at, session, data }), { group: 'workers' })
  }
  await all.env.settle()
  for (let number = 0; number < 400; number++) await a.publish('jobs.x', number, { session: `s${number % 20}` })
  for (let number = 400; number < 800; number++) await a.publish('jobs.x', number)
  await all.env.settle()
  expect(handled.map(({ data }) => data).toSorted((x, y) => (x as number) - (y as number))).toEqual(
    Array.from({ length: 800 }, (_, at) => at),
  )
  for (let session = 0; session < 20; session++) {
    const own = handled.filter((one) => one.session === `s${session}`)
    expect(new Set(own.map(({ at }) => at)).size).toBe(1)
    expect(own.map(({ data }) => data)).toEqual(Array.from({ length: 20 }, (_, at) => at * 20 + session))
  }
  // Nobody is idle, nobody has it all.
  for (const at of [0, 1, 2, 3]) expect(handled.filter((one) => one.at === at).length).toBeGreaterThan(80)
})

test('a receipt says what became of the message in other processes', async () => {
  await using all = await swarm(3)
  const [a, b, c] = all.buses as [Bus, Bus, Bus]
  a.subscribe('work', () => undefined, { name: 'here' })
  b.subscribe('work', () => undefined, { name: 'fine' })
  c.subscribe('work', () => Promise.reject(new Error('no room')), { name: 'broken' })
  await all.env.settle()
  const { deliveries } = await a.publish('work', 1, { until: 'handled' })
  expect(deliveries?.map(({ name, outcome }) => `${name} ${outcome}`).toSorted()).toEqual([
    'broken failed',
    'fine handled',
    'here handled',
  ])
  expect(await thrown(a.publish('work', 1, { until: 'succeeded' }))).toMatchObject({
    code: 'HANDLER_FAILED',
    message: expect.stringContaining('no room'),
  })
})

test('data that cannot cross is refused by name, and whoever listens here has it', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  b.subscribe('t', () => undefined)
  await all.env.settle()
  class Task {}
  expect(await thrown(a.publish('t', new Task()))).toMatchObject({ code: 'INVALID_PAYLOAD' })
  const seen: unknown[] = []
  a.subscribe('t', ({ data }) => void seen.push(data))
  const { refused, recipients } = await a.publish('t', new Task())
  expect(recipients).toBe(1)
  expect(refused).toMatchObject([{ name: 'wire memory', error: { code: 'INVALID_PAYLOAD' } }])
  await all.env.settle()
  expect(seen).toHaveLength(1)
})

test('a process that joins knows who is there as soon as it is ready, however much they want', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  for (let at = 0; at < 1_200; at++) b.subscribe(`many.${at}`, ({ data }) => data, { name: `n${at}` })
  b.register('pink', { type: 'coder', capabilities: ['code'], handler: () => 'done' })
  a.subscribe('sum', () => 7)
  const c = await all.join({ name: 'late' })
  expect((await c.request('many.1199', 3)).data).toBe(3)
  expect((await c.request('sum', 0)).data).toBe(7)
  expect((await c.request({ capability: 'code' }, 0)).data).toBe('done')
  const processes = c.processes()
  expect(processes.map(({ name }) => name).toSorted()).toEqual(['p0', 'p1'])
  expect(processes.find(({ name }) => name === 'p1')).toMatchObject({
    subscriptions: 1_200,
    agents: [{ name: 'pink', type: 'coder', capabilities: ['code'], status: 'idle' }],
  })
})

test('a bus alone is ready within a quarter of a second, one with others at once', async () => {
  const env = fakeEnv()
  const hub = memoryHub(env)
  const first = createBus({ env, wire: memoryWire(hub) })
  await env.advance(249)
  expect(await Promise.race([first.ready.then(() => 'ready'), env.settle().then(() => 'not yet')])).toBe('not yet')
  await env.advance(1)
  await first.ready
  const second = createBus({ env, wire: memoryWire(hub) })
  // No time passes here.
  await second.ready
  expect(second.processes()).toHaveLength(1)
  await Promise.all([first.close(), second.close()])
})

test('a request right after the bus was made waits until the others are known', async () => {
  await using all = await swarm(1)
  all.buses[0]!.subscribe('sum', () => 7)
  all.buses[0]!.register('pink', { handler: () => undefined })
  await all.env.settle()
  const wire = memoryWire(all.hub)
  await using late = createBus({ env: all.env, wire })
  const [answer, ack] = await Promise.all([late.request('sum', 1), late.send('pink', 1)])
  expect([answer.data, ack.accepted]).toEqual([7, ['pink']])
})

test('a thousand subscriptions that come and go leave nothing at the others', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  for (let at = 0; at < 1_000; at++) {
    const one = b.subscribe(`race.${at % 7}.>`, () => undefined, at % 2 === 0 ? { group: 'g' } : {})
    const agent = b.register(`agent${at}`)
    if (at % 3 === 0) await all.env.settle()
    one.unsubscribe()
    agent.unregister()
  }
  await all.env.settle()
  expect(a.processes()).toMatchObject([{ subscriptions: 0, agents: [] }])
  expect((await a.publish('race.1.x', 1)).recipients).toBe(0)
})
