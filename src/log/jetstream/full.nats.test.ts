import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { startNats } from '../../../test/servers/nats.ts'
import type { Server } from '../../../test/servers/server.ts'
import { connectNats } from '../../broker/nats/connect.ts'
import type { NatsLink } from '../../broker/nats/link.ts'
import { isBusError } from '../../kit/errors.ts'
import { messageMaker } from '../../message/make.ts'
import type { Appended, Delivery, Item, MessageLog } from '../log.ts'
import { jetStreamLog } from './jetstream.ts'

let server: Server
let link: NatsLink
let log: MessageLog
const maker = messageMaker()

/** A server that keeps no more than so many bytes, in all. */
async function start(bytes: number): Promise<void> {
  server = await startNats()
  const file = join(server.folder, 'nats.conf')
  await server.stop()
  const store = join(server.folder, 'data')
  const config = `listen: 127.0.0.1:${server.port}\njetstream { store_dir: "${store}", max_file_store: ${bytes} }\n`
  // The server writes the file of its own settings anew with each start: these are read instead.
  writeFileSync(`${file}.small`, config)
  await server.start({ args: ['-c', `${file}.small`] })
  link = await connectNats(server.url)
  log = await jetStreamLog(link, { publishTimeoutMs: 2_000 })
}

afterEach(async () => {
  await log[Symbol.asyncDispose]()
  await link[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

const item = (data: unknown): Item => ({ message: maker.make('full.test', data) })
const big = (n: number): string => `${n} ${'x'.repeat(20_000)}`

/** Stores until there is no room. */
async function fill(): Promise<{ readonly stored: Appended[]; readonly error: unknown }> {
  const stored: Appended[] = []
  for (let n = 0; n < 10_000; n++) {
    try {
      stored.push(...(await log.append('c/a', [item(big(n))])))
    } catch (error) {
      return { stored, error }
    }
  }
  throw new Error('the store never was full')
}

/** How much is kept back. */
async function pieces(): Promise<number | undefined> {
  const answer = await link.ask('$JS.API.STREAM.INFO.swarmbus_reserve')
  return answer.json<{ state?: { messages: number } }>().state?.messages
}

test('[I1] a store that is full refuses by name, settles on, and takes messages again once there is room, without a restart', async () => {
  await start(2_000_000)
  const taken: Delivery[] = []
  void (async () => {
    for await (const delivery of log.consume('c/a', 'g')) taken.push(delivery)
  })()
  // Again: what was kept back is kept back anew.
  for (let round = 0; round < 3; round++) {
    await expect.poll(() => pieces(), { timeout: 8_000 }).toBe(4)
    const before = taken.length
    const { stored, error } = await fill()
    expect(isBusError(error, 'STORE_FULL')).toBe(true)
    expect(stored.length).toBeGreaterThan(50)
    // As large as the others: a small one might still find room.
    const refused = item(`later ${big(round)}`)
    await expect(log.append('c/a', [refused])).rejects.toMatchObject({ code: 'STORE_FULL' })
    await expect.poll(() => taken.length, { timeout: 5_000 }).toBe(before + stored.length)
    // Room was kept back for them.
    const settled = taken.slice(before).map((delivery) => delivery.settle('acked'))
    expect(await Promise.all(settled)).toEqual(stored.map(() => true))
    expect(await log.trim('c/a', { maxCount: 0 })).toBeGreaterThanOrEqual(stored.length)
    expect(await log.append('c/a', [refused])).toMatchObject([{ duplicate: false }])
    await expect.poll(() => taken.at(-1)?.message.data, { timeout: 5_000 }).toBe(refused.message.data)
    expect(await taken.at(-1)?.settle('acked')).toBe(true)
  }
  const all = taken.length
  expect(await log.groups('c/a')).toMatchObject([{ published: all, acked: all, pending: 0, leased: 0 }])
}, 30_000)
