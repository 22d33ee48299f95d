import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MACHINE_MS } from '../../../test/machine.ts'
import { startNats } from '../../../test/servers/nats.ts'
import type { Server } from '../../../test/servers/server.ts'
import { connectNats } from '../../broker/nats/connect.ts'
import type { NatsLink } from '../../broker/nats/link.ts'
import { isBusError } from '../../kit/errors.ts'
import { messageMaker } from '../../message/make.ts'
import type { Delivery, Entry, Gap, Item, LogEvent, MessageLog } from '../log.ts'
import { type JetStreamLogOptions, jetStreamLog } from './jetstream.ts'

let server: Server
const links: NatsLink[] = []
const logs: MessageLog[] = []
const maker = messageMaker()

beforeEach(async () => {
  server = await startNats()
})
afterEach(async () => {
  for (const log of logs.splice(0)) await log[Symbol.asyncDispose]()
  for (const link of links.splice(0)) await link[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

async function open(
  options: JetStreamLogOptions = {},
): Promise<{ log: MessageLog; link: NatsLink; events: LogEvent[] }> {
  const events: LogEvent[] = []
  const link = await connectNats(server.url)
  links.push(link)
  const log = await jetStreamLog(link, {
    onEvent: (event) => void events.push(event),
    publishTimeoutMs: 1_000,
    ...options,
  })
  logs.push(log)
  return { log, link, events }
}

function item(data: unknown, session?: string): Item {
  return { message: maker.make('fault.test', data, session === undefined ? {} : { session }) }
}

/** Handles everything, and notes what it has handled. */
function worker(
  log: MessageLog,
  seen: unknown[],
  more: { onDelivery?: (delivery: Delivery) => Promise<void> } = {},
): AbortController {
  const controller = new AbortController()
  void (async () => {
    for await (const delivery of log.consume('c/a', 'g', { signal: controller.signal, ackWaitMs: 30_000 })) {
      seen.push(delivery.message.data)
      await more.onDelivery?.(delivery)
      void delivery.settle('acked').catch(() => undefined)
    }
  })()
  return controller
}

/** SIGSTOP, which takes its time: resolves once all threads of the server stand still. */
async function pause(): Promise<void> {
  server.pause()
  const tasks = `/proc/${server.pid}/task`
  const states = (): unknown[] =>
    readdirSync(tasks).map((task) => readFileSync(`${tasks}/${task}/stat`, 'utf8').split(') ')[1]?.[0])
  await expect.poll(() => new Set(states())).toEqual(new Set(['T']))
}

async function streamState(link: NatsLink): Promise<{ messages: number; last_seq: number } | undefined> {
  const answer = await link.ask('$JS.API.STREAM.INFO.swarmbus_log_c')
  return answer.json<{ state?: { messages: number; last_seq: number } }>().state
}

async function codeOf(run: Promise<unknown>): Promise<string> {
  return run.then(() => 'ok', codeOfError)
}

function codeOfError(error: unknown): string {
  return isBusError(error) ? error.code : String(error)
}

test('[I1] after kill -9 of the server all that was answered is handled, and consumers go on within 5 s of its return', async () => {
  const { log, events } = await open()
  const seen: unknown[] = []
  const stop = worker(log, seen)
  const acked = new Set<unknown>()
  let going = true
  let next = 0
  const publishing = Array.from({ length: 8 }, async () => {
    while (going) {
      const data = next++
      await log.append('c/a', [item(data)]).then(
        () => void acked.add(data),
        () => sleep(20),
      )
    }
  })
  await expect.poll(() => acked.size).toBeGreaterThan(300)
  await server.kill()
  await sleep(300)
  await server.start()
  const back = performance.now()
  const had = seen.length
  await expect.poll(() => seen.length, { timeout: 5_000 }).toBeGreaterThan(had + 50)
  expect(performance.now() - back).toBeLessThan(5_000)
  going = false
  await Promise.all(publishing)
  await expect.poll(() => [...acked].filter((data) => !seen.includes(data)), { timeout: 5_000 }).toEqual([])
  const [info] = await log.groups('c/a')
  expect(info?.published).toBeGreaterThanOrEqual(acked.size)
  expect(events.filter(({ type }) => type === 'data-loss')).toEqual([])
  expect(events.filter(({ type }) => type === 'disconnected').length).toBe(1)
  expect(events.filter(({ type }) => type === 'reconnected').length).toBe(1)
  stop.abort()
})

test('[I11] with a server that stands still everything settles by its limit, and goes on when it goes on', async () => {
  const { log } = await open()
  await log.append('c/a', [item(1), item(2)])
  const controller = new AbortController()
  const iterator = log.consume('c/a', 'g', { signal: controller.signal })[Symbol.asyncIterator]()
  const first = (await iterator.next()).value as Delivery
  await pause()
  const before = performance.now()
  const codes = await Promise.all([
    codeOf(log.append('c/a', [item(3)])),
    codeOf(first.settle('acked')),
    codeOf(log.groups('c/a')),
    codeOf(log.trim('c/a', { maxCount: 1 })),
  ])
  expect(performance.now() - before).toBeLessThan(1_000 + 250 + MACHINE_MS)
  expect(codes[0]).toBe('PUBLISH_UNKNOWN')
  expect(codes.slice(1)).toEqual(['BROKER_TIMEOUT', 'BROKER_TIMEOUT', 'BROKER_TIMEOUT'])
  server.resume()
  // What was asked for is carried out: the settlement is not lost because nobody waits for it any more.
  await expect.poll(async () => (await log.groups('c/a').catch(() => []))[0]?.acked, { timeout: 8_000 }).toBe(1)
  expect((await log.append('c/a', [item(4)]))[0]?.duplicate).toBe(false)
  controller.abort()
})

test('without a connection an append is surely not stored, and says so at once', async () => {
  const { log, link } = await open()
  await log.append('c/a', [item(1)])
  await server.kill()
  await expect.poll(() => link.watch.isUp).toBe(false)
  const before = performance.now()
  expect(await codeOf(log.append('c/a', [item(2)]))).toBe('STORE_FAILED')
  expect(performance.now() - before).toBeLessThan(MACHINE_MS)
  await server.start()
  await expect.poll(() => link.watch.isUp, { timeout: 8_000 }).toBe(true)
  await log.append('c/a', [item(3)])
  const data: unknown[] = []
  for await (const one of log.read('c/a')) data.push(one.type === 'entry' ? one.message.data : one.reason)
  expect(data).toEqual([1, 3])
})

test('a server that lost its data is told as DATA_LOSS, once, and everybody goes on with what is there', async () => {
  const { log, link, events } = await open()
  const seen: unknown[] = []
  const stop = worker(log, seen)
  for (let data = 1; data <= 20; data++) await log.append('c/a', [item(data)])
  await expect.poll(() => seen.length).toBe(20)
  await server.kill()
  await expect.poll(() => link.watch.isUp).toBe(false)
  await server.start({ wipe: true })
  await expect.poll(() => events.filter(({ type }) => type === 'data-loss').length, { timeout: 8_000 }).toBe(1)
  const [loss] = events.filter((event) => event.type === 'data-loss')
  expect(loss?.error.code).toBe('DATA_LOSS')
  expect(loss?.error.message).toContain('"c"')
  await log.append('c/a', [item('after')])
  await expect.poll(() => seen.at(-1), { timeout: 8_000 }).toBe('after')
  expect(events.filter(({ type }) => type === 'data-loss').length).toBe(1)
  stop.abort()
})

test('what is stored while the channel is looked at after a reconnect does not count as lost', async () => {
  const { log, link, events } = await open()
  const seen: unknown[] = []
  const stop = worker(log, seen)
  const acked: unknown[] = []
  let data = 0
  const publish = (): Promise<void> =>
    log.append('c/a', [item(data)]).then(
      () => void acked.push(data),
      () => undefined,
    )
  for (; data < 20; data++) await publish()
  for (let round = 0; round < 4; round++) {
    const back = new Promise<void>((resolve) => {
      const watching = link.watch.on((event) => {
        if (event.type !== 'restored') return
        watching[Symbol.dispose]()
        resolve()
      })
    })
    await server.kill()
    await server.start()
    await back
    for (const end = performance.now() + 300; performance.now() < end; data++) await publish()
  }
  await expect.poll(() => seen.length, { timeout: 5_000 }).toBeGreaterThanOrEqual(acked.length)
  expect(events.filter(({ type }) => type === 'data-loss')).toEqual([])
  stop.abort()
})

test('after a loss a read tells the gap first, one that follows goes on with what is there, and a new process misses nothing', async () => {
  const { log, link, events } = await open()
  const controller = new AbortController()
  const followed: unknown[] = []
  const show = (one: Entry | Gap): unknown => (one.type === 'entry' ? one.message.data : [one.reason, one.from, one.to])
  void (async () => {
    for await (const one of log.read('c/a', { follow: true, signal: controller.signal })) followed.push(show(one))
  })()
  const offsets: string[] = []
  for (const data of [1, 2, 3]) offsets.push((await log.append('c/a', [item(data)]))[0]?.offset as string)
  await expect.poll(() => followed).toEqual([1, 2, 3])
  await server.kill()
  await expect.poll(() => link.watch.isUp).toBe(false)
  await server.start({ wipe: true })
  await expect.poll(() => events.filter(({ type }) => type === 'data-loss').length, { timeout: 8_000 }).toBe(1)
  for (const data of [4, 5]) await log.append('c/a', [item(data)])
  const gap = ['lost', offsets[0], offsets[2]]
  expect((await Array.fromAsync(log.read('c/a'))).map(show)).toEqual([gap, 4, 5])
  expect((await Array.fromAsync(log.read('c/a', { last: 1 }))).map(show)).toEqual([5])
  expect((await log.streams('c'))[0]?.gaps).toEqual([
    { type: 'gap', stream: 'c/a', reason: 'lost', from: offsets[0], to: offsets[2] },
  ])
  // It had read all that is gone.
  await expect.poll(() => followed).toEqual([1, 2, 3, 4, 5])
  controller.abort()
  const { log: other, events: none } = await open()
  expect((await Array.fromAsync(other.read('c/a'))).map(show)).toEqual([4, 5])
  expect(none).toEqual([])
})

test('[I15] after a loss a lease from before settles nothing of what is there instead', async () => {
  const { log, link, events } = await open()
  const iterator = log.consume('c/a', 'g')[Symbol.asyncIterator]()
  const first = iterator.next()
  await expect.poll(async () => (await streamState(link))?.last_seq).toBe(1)
  await log.append('c/a', [item('before')])
  const before = (await first).value as Delivery
  await server.kill()
  await expect.poll(() => link.watch.isUp).toBe(false)
  const waiting = before.settle('acked').catch(codeOfError)
  await server.start({ wipe: true })
  await expect.poll(() => events.filter(({ type }) => type === 'data-loss').length, { timeout: 8_000 }).toBe(1)
  const second = iterator.next()
  await expect.poll(async () => (await streamState(link))?.last_seq).toBe(1)
  // At the same place, under the same name.
  await log.append('c/a', [item('after')])
  const after = (await second).value as Delivery
  expect(after.offset).toBe(before.offset)
  expect([await waiting, await before.settle('acked'), await before.nack(), await before.extend()]).toEqual([
    ...[false, false, false, false],
  ])
  expect(before.begin()).toBeUndefined()
  expect(await log.groups('c/a')).toMatchObject([{ published: 1, acked: 0 }])
  expect(await after.settle('acked')).toBe(true)
})

test('whoever only stores hears of a loss as well, however much others have stored since', async () => {
  const { log, link, events } = await open()
  for (const data of [1, 2]) await log.append('c/a', [item(data)])
  await server.kill()
  await expect.poll(() => link.watch.isUp).toBe(false)
  await server.start({ wipe: true })
  const { log: other } = await open()
  await other.append(
    'c/a',
    Array.from({ length: 10 }, (_, data) => item(data)),
  )
  await expect.poll(() => log.append('c/a', [item(3)]).then(() => 'ok', codeOfError), { timeout: 8_000 }).toBe('ok')
  await expect.poll(() => events.filter(({ type }) => type === 'data-loss').length, { timeout: 8_000 }).toBe(1)
  const [gap] = await Array.fromAsync(log.read('c/a'))
  expect(gap).toMatchObject({ type: 'gap', reason: 'lost' })
})

test('a process that dies leaves what it held to another within its grace and a second, in the order of its sessions', async () => {
  const { log: one, link } = await open()
  const { log: two } = await open()
  await one.append('c/a', [item(1, 's'), item(2, 's'), item(3)])
  const held = one.consume('c/a', 'g', { maxInFlight: 3 })[Symbol.asyncIterator]()
  for (let count = 0; count < 3; count++) await held.next()
  const seen: unknown[] = []
  const attempts: number[] = []
  const stop = worker(two, seen, { onDelivery: async ({ attempt }) => void attempts.push(attempt) })
  await one.append('c/a', [item(4, 's')])
  await sleep(200)
  expect(seen).toEqual([])
  await link[Symbol.asyncDispose]()
  const before = performance.now()
  await expect.poll(() => seen.length, { timeout: 8_000 }).toBe(4)
  expect(performance.now() - before).toBeLessThan(1_500 + 2_000)
  expect(seen).toEqual([1, 2, 3, 4])
  expect(attempts).toEqual([1, 1, 1, 1])
  stop.abort()
})

test('a new process takes over from a snapshot what was settled, held, delayed and dead, and the stream stays small', async () => {
  const { log: one, link } = await open()
  await one.append(
    'c/a',
    Array.from({ length: 200 }, (_, data) => item(data, data % 3 === 0 ? `s${data % 7}` : undefined)),
  )
  const held: Delivery[] = []
  const controller = new AbortController()
  for await (const delivery of one.consume('c/a', 'g', { signal: controller.signal, maxInFlight: 300 })) {
    held.push(delivery)
    if (held.length === 200) break
    if (held.length === 120) {
      for (const each of held.slice(0, 100)) await each.settle('acked')
      await held[100]?.settle('dead', { stream: 'c/dead', note: 'why' })
      await held[101]?.nack({ delayMs: 60_000, note: 'tried' })
      for (const maxCount of [150, 140, 130]) await one.trim('c/a', { maxCount })
    }
  }
  const figures = await one.groups()
  const streams = await one.streams()
  const { log: two } = await open()
  expect(await two.groups()).toEqual(figures)
  expect(await two.streams()).toEqual(streams)
  const [letter] = await Array.fromAsync(two.read('c/dead'))
  expect(letter).toMatchObject({ type: 'entry', note: 'why' })
  const [gap] = await Array.fromAsync(two.read('c/a'))
  expect(gap).toMatchObject({ type: 'gap', reason: 'trimmed' })
  expect((await streamState(link))?.messages).toBeLessThan(130 + 60)
})

test('consumers and readers that come and go leave nothing on the server', async () => {
  const { log, link } = await open()
  await log.append('c/a', [item(1)])
  for (let round = 0; round < 20; round++) {
    const { log: other } = await open()
    for await (const delivery of other.consume('c/a', `g${round}`)) {
      await delivery.settle('acked')
      break
    }
    await other.leave('c/a', `g${round}`)
    await other[Symbol.asyncDispose]()
  }
  const count = async (): Promise<unknown> => {
    const info = (await link.ask('$JS.API.STREAM.INFO.swarmbus_log_c')).json<{ state: { consumer_count: number } }>()
    return info.state.consumer_count
  }
  await expect.poll(count).toBe(0)
  expect(await log.groups()).toEqual([])
})

test('a server without JetStream is refused by name', async () => {
  await using plain = await startNats('jetstream: false')
  const link = await connectNats(plain.url)
  links.push(link)
  expect(await codeOf(jetStreamLog(link))).toBe('BROKER_REFUSED')
})
