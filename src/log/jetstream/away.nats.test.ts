import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { MACHINE_MS } from '../../../test/machine.ts'
import { startNats } from '../../../test/servers/nats.ts'
import { startProxy } from '../../../test/servers/proxy.ts'
import type { Server } from '../../../test/servers/server.ts'
import { connectNats } from '../../broker/nats/connect.ts'
import type { NatsLink } from '../../broker/nats/link.ts'
import { isBusError } from '../../kit/errors.ts'
import { messageMaker } from '../../message/make.ts'
import type { Delivery, Item, MessageLog } from '../log.ts'
import { type JetStreamLogOptions, jetStreamLog } from './jetstream.ts'

let server: Server
let proxy: Awaited<ReturnType<typeof startProxy>>
let count = 0
let prefix = ''
const links: NatsLink[] = []
const logs: MessageLog[] = []
const children: ChildProcess[] = []
const maker = messageMaker()

beforeAll(async () => {
  server = await startNats()
  proxy = await startProxy(server.port)
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const log of logs.splice(0)) await log[Symbol.asyncDispose]()
  for (const link of links.splice(0)) await link[Symbol.asyncDispose]()
})
afterAll(async () => {
  await proxy[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

async function open(url: string, options: JetStreamLogOptions = {}): Promise<{ log: MessageLog; link: NatsLink }> {
  const link = await connectNats(url)
  links.push(link)
  const log = await jetStreamLog(link, { prefix, publishTimeoutMs: 1_000, ...options })
  logs.push(log)
  return { log, link }
}

function item(data: unknown, session?: string): Item {
  return { message: maker.make('away.test', data, session === undefined ? {} : { session }) }
}

/** Takes what comes, without end. */
function taker(log: MessageLog): Delivery[] {
  const taken: Delivery[] = []
  void (async () => {
    for await (const delivery of log.consume('c/a', 'g')) taken.push(delivery)
  })()
  return taken
}

const dataOf = (deliveries: readonly Delivery[]): unknown[] => deliveries.map(({ message }) => message.data)

test('a process that is away again and again, never for long, keeps what it holds', async () => {
  prefix = `away${++count}`
  const { log: one } = await open(server.url)
  const { log: two, link } = await open(proxy.url('nats'))
  const held = taker(two)
  await expect.poll(async () => (await one.groups('c/a')).length).toBe(1)
  await one.append('c/a', [item('held', 's')])
  await expect.poll(() => held.length).toBe(1)
  void held[0]?.begin()
  const others = taker(one)
  for (let round = 1; round <= 4; round++) {
    const before = await one.groups('c/a')
    expect(before).toMatchObject([{ leased: 1 }])
    proxy.refuse()
    proxy.reset()
    // The other one looks once in that time, and finds nobody.
    await sleep(1_000)
    proxy.accept()
    await expect.poll(() => link.watch.isUp, { timeout: 8_000 }).toBe(true)
    expect(await held[0]?.extend()).toBe(true)
  }
  expect(others).toEqual([])
  expect(await held[0]?.settle('acked')).toBe(true)
}, 30_000)

test('[C15] who comes to a group whose entries are all set aside for another gets its share at once', async () => {
  prefix = `away${++count}`
  const { log: one } = await open(server.url)
  const { log: two } = await open(server.url)
  await one.append(
    'c/a',
    Array.from({ length: 50 }, (_, data) => item(data)),
  )
  // It follows the channel already, so it waits before its coming is a record.
  await two.streams('c')
  const busy = one.consume('c/a', 'g')[Symbol.asyncIterator]()
  expect((await busy.next()).value?.message.data).toBe(0)
  const before = performance.now()
  const late = two.consume('c/a', 'g')[Symbol.asyncIterator]()
  expect((await late.next()).done).toBe(false)
  expect(performance.now() - before).toBeLessThan(1_500 + MACHINE_MS)
  await Promise.all([busy.return?.(), late.return?.()])
})

test('[I4] what a stopped process has is handled by another within its lease and a second, and a process that goes on takes nothing back', async () => {
  prefix = `away${++count}`
  const { log } = await open(server.url)
  for (const leaseMs of [1_000, 1_500]) {
    const stream = `c/${leaseMs}`
    const lines: string[] = []
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program(stream, leaseMs)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(child)
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line)
      // At once: that its leases run is not said yet.
      if (line === 'got 0') child.kill('SIGSTOP')
    })
    await expect.poll(async () => (await log.groups(stream)).length, { timeout: 8_000 }).toBe(1)
    await log.append(
      stream,
      Array.from({ length: 10 }, (_, data) => item(data, 's')),
    )
    await expect.poll(() => lines).toContain('got 0')
    const before = performance.now()
    const taken: unknown[] = []
    for await (const delivery of log.consume(stream, 'g')) {
      taken.push(delivery.message.data)
      expect(await delivery.settle('acked')).toBe(true)
      if (taken.length === 10) break
    }
    expect(performance.now() - before).toBeLessThan(leaseMs + 1_000 + MACHINE_MS)
    expect(taken).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    child.kill('SIGCONT')
    await expect.poll(() => lines).toContain('settled 0 false')
    expect(await log.groups(stream)).toMatchObject([{ acked: 10, pending: 0, leased: 0 }])
  }
}, 30_000)

/** A process that handles what it gets, one after the other. */
function program(stream: string, leaseMs: number): string {
  const from = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href)
  return `
    import { connectNats } from ${from('../../broker/nats/connect.ts')}
    import { jetStreamLog } from ${from('./jetstream.ts')}
    const log = await jetStreamLog(await connectNats('${server.url}'), { prefix: '${prefix}' })
    for await (const delivery of log.consume('${stream}', 'g', { ackWaitMs: ${leaseMs} })) {
      delivery.begin()
      console.log('got ' + delivery.message.data)
      await new Promise((resolve) => setTimeout(resolve, 50))
      console.log('settled ' + delivery.message.data + ' ' + (await delivery.settle('acked')))
    }`
}

test('[I5] an append whose answer is lost with its connection is unknown, and stored once when it is made again', async () => {
  prefix = `away${++count}`
  const { log, link } = await open(proxy.url('nats'))
  await log.append('c/a', [item('first')])
  for (let round = 0; round < 5; round++) {
    const one = item(round)
    const reset = proxy.resetAfter((bytes) => bytes.includes(one.message.id))
    const code = await log.append('c/a', [one]).then(
      () => 'ok',
      (error: unknown) => (isBusError(error) ? error.code : String(error)),
    )
    await reset
    expect(code).toBe('PUBLISH_UNKNOWN')
    await expect.poll(() => link.watch.isUp, { timeout: 8_000 }).toBe(true)
    const [again] = await log.append('c/a', [one])
    expect(again).toMatchObject({ id: one.message.id, duplicate: true })
  }
  const stored: unknown[] = []
  for await (const entry of log.read('c/a')) stored.push(entry.type === 'entry' ? entry.message.data : entry.reason)
  expect(stored).toEqual(['first', 0, 1, 2, 3, 4])
}, 30_000)

test('[I15] a settlement whose answer is lost with its connection is made once', async () => {
  prefix = `away${++count}`
  const { log } = await open(proxy.url('nats'))
  const taken = taker(log)
  await log.append('c/a', [item(1), item(2), item(3)])
  await expect.poll(() => dataOf(taken)).toEqual([1, 2, 3])
  for (const [at, as] of (['acked', 'dead', 'dropped'] as const).entries()) {
    const reset = proxy.resetAfter((bytes) => bytes.includes(as === 'acked' ? '"t":"ack"' : `"as":"${as}"`))
    const along = as === 'dead' ? { stream: 'c/dead' } : undefined
    const settled = taken[at]?.settle(as, along)
    await reset
    expect(await settled).toBe(true)
  }
  expect(await log.groups('c/a')).toMatchObject([{ acked: 1, dead: 1, dropped: 1, pending: 0, leased: 0, stale: 0 }])
  expect((await Array.fromAsync(log.read('c/dead'))).length).toBe(1)
  expect(taken.length).toBe(3)
}, 30_000)
