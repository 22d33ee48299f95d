import { expect, test } from 'vitest'
import { type Bus, BusError, type Message } from '../../src/index.ts'
import { framesOf, swarm, thrown } from './swarm.ts'

test('[C13] [L84] a request finds its one handler in another process, and the answer belongs to the same chain', async () => {
  await using all = await swarm(3)
  const [a, b] = all.buses as [Bus, Bus]
  let asked: Message | undefined
  b.subscribe('sum', (message, context) => {
    asked = message
    context.reply(
      (message.data as number[]).reduce((x, y) => x + y, 0),
      { headers: { unit: 'eur' } },
    )
  })
  await all.env.settle()
  const answer = await a.request('sum', [1, 2, 3], { from: 'pink', session: 's' })
  expect(answer).toMatchObject({
    data: 6,
    to: 'pink',
    session: 's',
    causationId: asked?.id,
    rootId: asked?.id,
    hops: 1,
    headers: { unit: 'eur' },
    priority: 'high',
  })
  // Nothing of it reaches the third process.
  expect(all.buses[2]!.stats().wire).toMatchObject({ framesDropped: 0, asks: 0 })
  expect(b.stats().wire?.asks).toBe(0)
})

test('nobody listens in any process: refused at once, without a frame', async () => {
  await using all = await swarm(2)
  const error = await thrown(all.buses[0]!.request('nothing', 1))
  expect(error).toMatchObject({ code: 'NO_RESPONDERS' })
  all.buses[1]!.subscribe('nothing', () => 1, { observer: true })
  await all.env.settle()
  expect(await thrown(all.buses[0]!.request('nothing', 1))).toMatchObject({ code: 'NO_RESPONDERS' })
  expect(framesOf(all.wires[0]!, 'message')).toEqual([])
})

test('a responder that left a moment ago: refused as soon as its process says so', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  const one = b.subscribe('sum', () => 1)
  await all.env.settle()
  one.unsubscribe()
  expect(await thrown(a.request('sum', 1))).toMatchObject({ code: 'NO_RESPONDERS' })
})

test('an error of a handler crosses with code, message and details, without its stack', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  b.subscribe('plain', () => Promise.reject(new TypeError('no such task')))
  b.subscribe('typed', (_message, context) => context.bus.request('nobody.here', 1))
  await all.env.settle()
  expect(await thrown(a.request('plain', 1))).toMatchObject({
    code: 'HANDLER_FAILED',
    message: expect.stringContaining('no such task'),
    details: { topic: 'plain' },
  })
  expect(await thrown(a.request('typed', 1))).toMatchObject({
    code: 'NO_RESPONDERS',
    details: { topic: 'nobody.here' },
  })
  expect(JSON.stringify(framesOf(all.wires[1]!, 'done'))).not.toContain('.test.ts')
})

test('the causes of an error cross with it, four behind each other, whatever they are', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  let deep: unknown = new RangeError('the deepest')
  for (let at = 0; at < 10; at++) deep = new Error(`level ${at}`, { cause: deep })
  const hostile = new Proxy(new Error('x'), {
    get: () => {
      throw new Error('never')
    },
  })
  const causes: readonly (readonly [topic: string, cause: unknown])[] = [
    ['plain', new TypeError('no such task', { cause: new RangeError('7 is too much') })],
    ['typed', new BusError('QUEUE_FULL', 'no room', { details: { limit: 3 }, cause: 'a word' })],
    ['hostile', hostile],
    ['deep', deep],
  ]
  for (const [topic, cause] of causes) b.subscribe(topic, () => Promise.reject(cause))
  await all.env.settle()
  const failed = async (topic: string): Promise<Error> => (await thrown(a.request(topic, 1))) as unknown as Error
  const plain = (await failed('plain')).cause as Error
  expect([plain.name, plain.message, (plain.cause as Error).message]).toEqual([
    'TypeError',
    'no such task',
    '7 is too much',
  ])
  const typed = await failed('typed')
  const full = typed.cause instanceof BusError ? typed.cause : typed
  expect(full).toMatchObject({ code: 'QUEUE_FULL', details: { limit: 3 }, cause: { message: 'a word' } })
  expect(await failed('hostile')).toMatchObject({ code: 'HANDLER_FAILED' })
  let levels = 0
  for (let error: unknown = await failed('deep'); error instanceof Error; error = error.cause) levels++
  expect(levels).toBe(5)
  expect(JSON.stringify(framesOf(all.wires[1]!, 'done'))).not.toContain('.test.ts')
})

test('an answer that cannot cross fails the request at once', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  class Result {}
  b.subscribe('make', () => new Result())
  b.subscribe('reply', (_message, context) => void context.reply(new Result()))
  await all.env.settle()
  for (const topic of ['make', 'reply']) {
    expect(await thrown(a.request(topic, 1))).toMatchObject({
      code: 'HANDLER_FAILED',
      message: expect.stringContaining('an instance of Result'),
    })
  }
})

test('everybody who listens is asked, the first answer counts, the others are strays', async () => {
  await using all = await swarm(3)
  const [a, b, c] = all.buses as [Bus, Bus, Bus]
  a.subscribe('who', async () => {
    await new Promise<void>((resolve) => void all.env.after(50, resolve))
    return 'a'
  })
  b.subscribe('who', () => Promise.reject(new Error('not me')))
  c.subscribe('who', () => 'c')
  await all.env.settle()
  expect((await a.request('who', 1)).data).toBe('c')
  await all.env.advance(100)
  expect(a.stats().requests.strayAnswers).toBe(1)
})

test('a request to a group goes to one of its processes, and those of a session to the same one', async () => {
  await using all = await swarm(3)
  const [a] = all.buses as [Bus]
  for (const [at, bus] of all.buses.entries()) bus.subscribe('work', () => at, { group: 'workers' })
  await all.env.settle()
  const answers = []
  for (let at = 0; at < 60; at++) answers.push((await a.request('work', 1)).data)
  expect(new Set(answers)).toEqual(new Set([0, 1, 2]))
  const own = []
  for (let at = 0; at < 10; at++) own.push((await a.request('work', 1, { session: 'mine' })).data)
  expect(new Set(own).size).toBe(1)
  expect(all.buses.reduce((sum, bus) => sum + bus.stats().ledger.handled, 0)).toBe(70)
})

test('the deadline crosses as the time that is left, whatever the clocks of the machines say', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  let reason: unknown
  b.subscribe('slow', (_message, { signal }) => {
    signal.addEventListener('abort', () => {
      reason = signal.reason
    })
    return new Promise(() => undefined)
  })
  await all.env.settle()
  const late = thrown(a.request('slow', 1, { timeoutMs: 200 }))
  await all.env.settle()
  expect(framesOf(all.wires[0]!, 'message')[0]?.left).toBe(200)
  all.env.setWall(0)
  await all.env.advance(100)
  expect(reason).toBeUndefined()
  await all.env.advance(150)
  expect(await late).toMatchObject({ code: 'REQUEST_TIMEOUT' })
  expect(reason).toMatchObject({ code: expect.stringMatching(/REQUEST_TIMEOUT|MESSAGE_EXPIRED/) })
  expect(b.stats().wire?.asks).toBe(0)
})

test('a requester that gives up is heard by the handler in the other process', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  let reason: unknown
  b.subscribe('slow', (_message, { signal }) => {
    signal.addEventListener('abort', () => {
      reason = signal.reason
    })
    return new Promise(() => undefined)
  })
  await all.env.settle()
  const stop = new AbortController()
  const given = thrown(a.request('slow', 1, { signal: stop.signal }))
  await all.env.settle()
  stop.abort()
  await all.env.settle()
  expect(await given).toMatchObject({ code: 'CANCELLED' })
  expect(reason).toMatchObject({ code: 'CANCELLED' })
})

test('requestMany collects the answers of all processes', async () => {
  await using all = await swarm(4)
  for (const [at, bus] of all.buses.entries()) bus.subscribe('vote', () => at)
  await all.env.settle()
  const answers: unknown[] = []
  for await (const { data } of all.buses[0]!.requestMany('vote', 1, { count: 4 })) answers.push(data)
  expect(answers.toSorted()).toEqual([0, 1, 2, 3])
})

test('an inbox that is read by hand answers later, and a request that is handed on is answered by a third process', async () => {
  await using all = await swarm(3)
  const [a, b, c] = all.buses as [Bus, Bus, Bus]
  const reader = b.register('reader')
  b.subscribe('front', (message, { bus }) =>
    bus
      .publish('back', message.data, { ...(message.replyTo === undefined ? {} : { replyTo: message.replyTo }) })
      .then(() => undefined),
  )
  c.subscribe('back', ({ data }) => `c says ${data}`)
  await all.env.settle()
  const asked = a.request('agent.reader', 'question')
  await all.env.settle()
  const taken = await reader.receive({ timeoutMs: 0 })
  expect(b.respond(taken, 'by hand')).toBe(true)
  expect((await asked).data).toBe('by hand')
  expect((await a.request('front', 'hello')).data).toBe('c says hello')
})

test('a request that comes back through another process to an agent that waits for it is run, or refused as the bus says', async () => {
  for (const onCycle of ['run', 'refuse'] as const) {
    await using all = await swarm(2, { onCycle })
    const [a, b] = all.buses as [Bus, Bus]
    a.register('first', {
      handler: async ({ data }, { bus }) => (data === 'inner' ? 'inside' : (await bus.request('agent.second', 1)).data),
    })
    b.register('second', { handler: async (_message, { bus }) => (await bus.request('agent.first', 'inner')).data })
    await all.env.settle()
    const answer = a.request('agent.first', 'outer').then(
      ({ data }) => data,
      (error: { code: string }) => error.code,
    )
    await all.env.settle()
    expect(await answer, onCycle).toBe(onCycle === 'run' ? 'inside' : 'REQUEST_CYCLE')
  }
})

test('a capability is asked for here first, and elsewhere when nobody here has it or is idle', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  b.register('blue', { capabilities: ['code', 'test'], handler: () => 'blue' })
  await all.env.settle()
  expect((await a.request({ capability: 'code' }, 1)).data).toBe('blue')
  const pink = a.register('pink', { capabilities: ['code'], handler: () => 'pink' })
  expect((await a.request({ capability: 'code' }, 1)).data).toBe('pink')
  pink.setStatus('busy')
  expect((await a.request({ capability: 'code' }, 1)).data).toBe('blue')
  expect((await a.request({ capability: 'test' }, 1)).data).toBe('blue')
  expect(await thrown(a.request({ capability: 'dance' }, 1))).toMatchObject({ code: 'UNKNOWN_AGENT' })
})

test('answers go to their requester only, on topics that nobody can guess', async () => {
  await using all = await swarm(3)
  const [a, b] = all.buses as [Bus, Bus]
  const topics: string[] = []
  b.subscribe('sum', ({ replyTo, data }) => {
    topics.push(replyTo as string)
    return data
  })
  await all.env.settle()
  for (let at = 0; at < 20; at++) await a.request('sum', at)
  expect(new Set(topics.map((topic) => topic.slice(-16))).size).toBe(20)
  const answers = all.wires[1]!.sent.filter(({ bytes }) => new TextDecoder().decode(bytes).includes('"t":"answer"'))
  expect(new Set(answers.map(({ topic }) => topic))).toEqual(new Set([`_sb.to.${a.stats().wire?.id}`]))
})

test('ten thousand requests at once leave nothing behind', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  b.subscribe('echo', ({ data }) => data)
  await all.env.settle()
  const answers = await Promise.all(Array.from({ length: 10_000 }, (_, at) => a.request('echo', at)))
  expect(answers.map(({ data }) => data)).toEqual(Array.from({ length: 10_000 }, (_, at) => at))
  await all.env.settle()
  expect([a.stats().requests.pending, b.stats().wire?.asks, a.stats().requests.strayAnswers]).toEqual([0, 0, 0])
})
