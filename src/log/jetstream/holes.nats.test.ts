import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { startNats } from '../../../test/servers/nats.ts'
import type { Server } from '../../../test/servers/server.ts'
import { connectNats } from '../../broker/nats/connect.ts'
import type { NatsLink } from '../../broker/nats/link.ts'
import { messageMaker } from '../../message/make.ts'
import type { Appended, Entry, Gap, Item, LogEvent, MessageLog } from '../log.ts'
import { jetStreamLog } from './jetstream.ts'
import { seqOf } from './records.ts'

let server: Server
let count = 0
let prefix = ''
const links: NatsLink[] = []
const logs: MessageLog[] = []
const maker = messageMaker()

beforeAll(async () => {
  server = await startNats()
})
afterEach(async () => {
  for (const log of logs.splice(0)) await log[Symbol.asyncDispose]()
  for (const link of links.splice(0)) await link[Symbol.asyncDispose]()
})
afterAll(() => server[Symbol.asyncDispose]())

interface Opened {
  readonly log: MessageLog
  readonly link: NatsLink
  readonly losses: string[]
  readonly damaged: Gap[]
}

async function open(): Promise<Opened> {
  const losses: string[] = []
  const damaged: Gap[] = []
  const link = await connectNats(server.url)
  links.push(link)
  const log = await jetStreamLog(link, {
    prefix,
    onEvent: (event: LogEvent) => void (event.type === 'data-loss' && losses.push(event.error.message)),
    onDamage: (gap) => void damaged.push(gap),
  })
  logs.push(log)
  return { log, link, losses, damaged }
}

function items(count: number): Item[] {
  return Array.from({ length: count }, (_, data) => ({ message: maker.make('hole.test', data) }))
}

const show = (one: Entry | Gap): unknown => (one.type === 'entry' ? one.message.data : `${one.reason} ${one.from}`)

/** What a server does to a stream whose file is damaged: a record in its middle is not there any more, and no purge says why. */
async function remove(link: NatsLink, stored: readonly Appended[]): Promise<void> {
  for (const { offset } of stored) {
    const seq = seqOf(Number(offset))
    const answer = await link.ask(`$JS.API.STREAM.MSG.DELETE.${prefix}_log_c`, JSON.stringify({ seq, no_erase: true }))
    expect(answer.json<{ success?: boolean }>().success).toBe(true)
  }
}

test('[I13] records that are gone are a gap for whoever begins, said once, and the group goes on behind them', async () => {
  prefix = `holes${++count}`
  const { log, link } = await open()
  const stored = await log.append('c/a', items(10))
  await log[Symbol.asyncDispose]()
  await remove(link, stored.slice(3, 5))
  const { log: other, losses, damaged } = await open()
  const read = await Array.fromAsync(other.read('c/a'))
  const gap = read.find((one) => one.type === 'gap')
  expect(read.map(show)).toEqual([0, 1, 2, `lost ${stored[3]?.offset}`, 5, 6, 7, 8, 9])
  expect(Number(gap?.to)).toBeGreaterThanOrEqual(Number(stored[4]?.offset))
  expect(Number(gap?.to)).toBeLessThan(Number(stored[5]?.offset))
  expect((await Array.fromAsync(other.read('c/a'))).map(show)).toEqual(read.map(show))
  const handled: unknown[] = []
  for await (const delivery of other.consume('c/a', 'g')) {
    handled.push(delivery.message.data)
    await delivery.settle('acked')
    if (handled.length === 8) break
  }
  expect(handled).toEqual([0, 1, 2, 5, 6, 7, 8, 9])
  expect(losses).toEqual([expect.stringContaining(`"c" lacks the records ${seqOf(Number(stored[3]?.offset))} to`)])
  expect(await other.groups('c/a')).toMatchObject([{ acked: 8, pending: 0, leased: 0 }])
  expect(damaged).toEqual([])
})

test('records that are lost behind the back of two processes that follow are found by whoever meets them, and told by both, once', async () => {
  prefix = `holes${++count}`
  const { log, link, losses } = await open()
  const { log: other, losses: others } = await open()
  // More than a process keeps in memory: 12 MB.
  const stored: Appended[] = []
  for (let data = 0; data < 40; data++) {
    const message = maker.make('hole.test', `${data} ${'x'.repeat(300_000)}`)
    stored.push(...(await log.append('c/a', [{ message }])))
  }
  // Both follow the channel.
  for (const one of [log, other]) await one.streams('c')
  await remove(link, stored.slice(2, 3))
  const short = (one: Entry | Gap): unknown =>
    one.type === 'entry' ? Number(String(one.message.data).split(' ')[0]) : `${one.reason} ${one.from}`
  const wanted = Array.from({ length: 40 }, (_, data) => (data === 2 ? `lost ${stored[2]?.offset}` : data))
  expect((await Array.fromAsync(other.read('c/a'))).map(short)).toEqual(wanted)
  await expect.poll(() => [losses.length, others.length]).toEqual([1, 1])
  // All begin anew with what is there, and agree.
  await expect
    .poll(async () => [await log.streams('c'), await other.streams('c')].map(([one]) => [one?.count, one?.gaps]))
    .toEqual([
      [39, [expect.objectContaining({ reason: 'lost', from: stored[2]?.offset })]],
      [39, [expect.objectContaining({ reason: 'lost', from: stored[2]?.offset })]],
    ])
  expect((await Array.fromAsync(log.read('c/a'))).map(short)).toEqual(wanted)
  expect([losses.length, others.length]).toEqual([1, 1])
})

test('a record that is missing behind a snapshot is a gap too', async () => {
  prefix = `holes${++count}`
  const { log, link } = await open()
  const stored = await log.append('c/a', items(30))
  await log.join('c/a', 'g')
  for (let settled = 0; settled < 10; settled++) {
    expect(await log.settle('c/a', 'g', stored[settled]?.offset as string, 'acked')).toBe(true)
  }
  // A trim takes a snapshot.
  expect(await log.trim('c/a', { maxCount: 25 })).toBe(5)
  await log[Symbol.asyncDispose]()
  await remove(link, [stored[7] as Appended, stored[20] as Appended])
  const { log: other, losses } = await open()
  const read = await Array.fromAsync(other.read('c/a'))
  expect(read.map(show)).toEqual([
    expect.stringContaining('trimmed'),
    ...[5, 6, `lost ${stored[7]?.offset}`, 8, 9],
    ...Array.from({ length: 20 }, (_, at) => (at === 10 ? `lost ${stored[20]?.offset}` : at + 10)),
  ])
  expect(losses.length).toBe(2)
  const handled: unknown[] = []
  for await (const delivery of other.consume('c/a', 'g')) {
    handled.push(delivery.message.data)
    await delivery.settle('acked')
    if (handled.length === 19) break
  }
  expect(handled).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22, 23, 24, 25, 26, 27, 28, 29])
  expect(await other.groups('c/a')).toMatchObject([{ acked: 29, dropped: 1, pending: 0, leased: 0 }])
})

test('entries alone bring about a snapshot: a start behind 60 000 of them needs the last ones only', async () => {
  prefix = `holes${++count}`
  const { log, link } = await open()
  // Somebody follows the channel: who only stores knows nothing of it.
  await log.join('c/a', 'g')
  const total = 60_000
  for (let stored = 0; stored < total; stored += 2_000) await log.append('c/a', items(2_000))
  const snapshots = async (): Promise<number> => {
    const question = JSON.stringify({ subjects_filter: `${prefix}.log.c.s` })
    const answer = await link.ask(`$JS.API.STREAM.INFO.${prefix}_log_c`, question)
    return Object.values(answer.json<{ state: { subjects?: Record<string, number> } }>().state.subjects ?? {})[0] ?? 0
  }
  await expect.poll(snapshots, { timeout: 10_000 }).toBeGreaterThan(0)
  const { log: other } = await open()
  expect(await other.streams('c')).toMatchObject([{ stream: 'c/a', count: total }])
  expect(await other.groups('c/a')).toMatchObject([{ published: total, pending: total }])
}, 60_000)
