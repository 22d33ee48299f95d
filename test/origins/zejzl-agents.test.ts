import { expect, test } from 'vitest'
import { createBus, type Failure } from '../../src/index.ts'
import { errorOf, faultOf, numbered, PATIENT, take, takeAll, thrownBy, watched } from './support/zejzl.ts'

test('[Z6] an inbox holds 10 000 messages by default, and any number only when that is asked for', async () => {
  const bus = createBus({ overflow: 'refuse' })
  bus.register('bounded')
  bus.register('endless', { limit: Number.POSITIVE_INFINITY })
  const limits = Object.fromEntries(bus.snapshot().queues.map((queue) => [queue.name, queue.limit]))
  expect(limits).toEqual({ bounded: 10_000, endless: Number.POSITIVE_INFINITY })
  for (let n = 0; n < 10_000; n++) await bus.send('bounded', n)
  expect((await faultOf(bus.send('bounded', 'one more'))).code).toBe('QUEUE_FULL')
  for (let n = 0; n < 10_001; n++) await bus.send('endless', n)
  expect([bus.queueSize('bounded'), bus.queueSize('endless')]).toEqual([10_000, 10_001])
  expect(thrownBy(() => bus.register('none', { limit: 0 }))).toMatchObject({
    code: 'INVALID_OPTION',
    details: { field: 'limit' },
  })
})

test('[Z6] [ZN15] a second registration of a name is refused, and the first goes on', async () => {
  const bus = createBus()
  const first = bus.register('a')
  const waits = first.receive()
  expect(thrownBy(() => bus.register('a'))).toMatchObject({ code: 'AGENT_EXISTS', details: { name: 'a' } })
  expect(thrownBy(() => bus.register('a', { replace: false })).code).toBe('AGENT_EXISTS')
  await bus.send('a', 'for the first')
  expect((await waits).data).toBe('for the first')
  expect(bus.agents().map((agent) => agent.name)).toEqual(['a'])
})

test('[Z6] [ZN15] on demand the second registration replaces the first: handler, receivers, waiting messages', async () => {
  const bus = createBus()
  const handled: unknown[] = []
  const first = bus.register('a', { type: 'old', capabilities: ['x'] })
  const waits = watched(first.receive())
  const second = bus.register('a', { replace: true, type: 'new', capabilities: ['y'] })
  await expect.poll(() => waits.state, PATIENT).toBe('rejected')
  expect(errorOf(waits).code).toBe('SUBSCRIPTION_ENDED')
  expect([first.registered, second.registered]).toEqual([false, true])
  expect(bus.agent('a')).toMatchObject({ type: 'new', capabilities: ['y'] })
  await bus.send('a', 'waits for whoever has the name')
  bus.register('a', { replace: true, handler: (message) => void handled.push(message.data) })
  await bus.idle()
  expect(handled).toEqual(['waits for whoever has the name'])
  expect(first.unregister()).toBe(false)
  expect(bus.agent('a')).toBeDefined()
})

test('[Z6] the inbox limit of a registration that replaces another, or comes after a declaration, is not ignored', async () => {
  const bus = createBus()
  bus.declare('declared')
  bus.register('declared', { limit: 2, overflow: 'refuse' })
  bus.register('replaced', { limit: 5 })
  bus.register('replaced', { limit: 2, overflow: 'refuse', replace: true })
  expect(bus.snapshot().queues.map((queue) => queue.limit)).toEqual([2, 2])
  for (const name of ['declared', 'replaced']) {
    await bus.send(name, 1)
    await bus.send(name, 2)
    expect((await faultOf(bus.send(name, 3))).code).toBe('QUEUE_FULL')
  }
})

test('[Z7] unregistering ends waiting receivers with SUBSCRIPTION_ENDED and reports queued messages as "unregistered"', async () => {
  const reported: Failure[] = []
  const bus = createBus({ onFailure: (failure) => void reported.push(failure) })
  const idle = bus.register('idle')
  const waits = [watched(idle.receive()), watched(idle.receive())]
  expect(idle.unregister()).toBe(true)
  await expect.poll(() => waits.map((one) => one.state), PATIENT).toEqual(['rejected', 'rejected'])
  for (const one of waits) expect(errorOf(one)).toMatchObject({ code: 'SUBSCRIPTION_ENDED', family: 'agent' })

  const loaded = bus.register('loaded')
  for (const one of numbered('m', 3)) await bus.send('loaded', one)
  loaded.unregister()
  const left = bus.failures().map(({ name, reason, outcome, message }) => [name, reason, outcome, message.data])
  expect(left).toEqual(numbered('m', 3).map((one) => ['loaded', 'unregistered', 'dropped', one]))
  expect(reported).toEqual(bus.failures())
  expect(bus.stats()).toMatchObject({ failures: 3, agents: 0, queued: 0 })
  expect(bus.stats().ledger).toMatchObject({ published: 3, dropped: 3, pending: 0 })
  expect(loaded.unregister()).toBe(false)
})

test('[Z7] unregistering also ends publishers that wait for room and subscriptions under the name', async () => {
  const bus = createBus()
  const heard: unknown[] = []
  const agent = bus.register('a', { limit: 1 })
  agent.subscribe('news.*', (message) => void heard.push(message.data))
  await bus.send('a', 1)
  const sender = watched(bus.send('a', 2))
  agent.unregister()
  await expect.poll(() => sender.state, PATIENT).toBe('rejected')
  expect(errorOf(sender).code).toBe('SUBSCRIPTION_ENDED')
  await bus.publish('news.x', 'nobody is left')
  await bus.idle()
  expect(heard).toEqual([])
  expect(bus.subscribers('news.x')).toEqual([])
})

test('[Z8] sending to an unknown agent is refused with the wanted name and the known ones', async () => {
  const bus = createBus()
  expect((await faultOf(bus.send('ghost', 1))).details).toMatchObject({ wanted: 'ghost', known: [] })
  bus.register('anna')
  const bert = bus.register('bert')
  for (const sender of [bus, bert, bus.session('s')]) {
    const error = await faultOf(sender.send('ghost', 1))
    expect(error).toMatchObject({ code: 'UNKNOWN_AGENT', family: 'agent' })
    expect(error.details).toMatchObject({ wanted: 'ghost', known: ['anna', 'bert'] })
    for (const name of ['ghost', 'anna', 'bert']) expect(error.message).toContain(name)
  }
  expect((await faultOf(bus.send(['anna', 'ghost'], 1))).code).toBe('UNKNOWN_AGENT')
  expect(bus.queueSize('anna')).toBe(0)
})

test('[Z8] [ZN15] sending to and receiving for an agent that is not registered are one and the same fault', async () => {
  const bus = createBus()
  bus.register('anna')
  const gone = bus.register('gone')
  gone.unregister()
  const onSend = await faultOf(bus.send('gone', 1))
  const onReceive = await faultOf(gone.receive())
  expect(onReceive.code).toBe(onSend.code)
  expect(onReceive.family).toBe(onSend.family)
  expect(onReceive.details).toMatchObject({ wanted: 'gone', known: ['anna'] })
})

test('[Z8] an agent that unregistered can come back under its name, and gets nothing of before', async () => {
  const bus = createBus()
  const first = bus.register('a')
  await bus.send('a', 'old')
  first.unregister()
  const second = bus.register('a')
  await bus.send('a', 'new')
  expect(await takeAll(second)).toEqual(['new'])
  expect(await take(second, 0)).toEqual([])
})
