import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Bus } from '../../src/index.ts'
import { memoryWire } from '../../src/wire/memory.ts'
import { swarm, thrown } from './swarm.ts'

const STRANGER = 'ab'.repeat(12)
const bytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))
const here = {
  v: 1,
  t: 'here',
  from: STRANGER,
  name: 'x',
  epoch: 0,
  base: 0,
  seq: 1,
  full: true,
  last: true,
  add: [],
  gone: [],
  ask: false,
  peers: [],
}

test('frames that cannot be read are counted and told to the wire, and nothing else happens', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  b.subscribe('sum', () => 7)
  await all.env.settle()
  const enemy = memoryWire(all.hub)
  const m = { v: 1, id: '019b76da-abe8-7000-8972-3cc764b7c000', topic: 'sum', priority: 'normal', time: 1 }
  const message = { v: 1, t: 'message', from: STRANGER, m, groups: {}, names: {} }
  const bad: unknown[] = [
    '',
    'no json',
    '[]',
    'null',
    '"text"',
    '{"v":1}',
    { ...here, v: 2 },
    { ...here, t: '__proto__' },
    { ...here, t: 'toString' },
    { ...here, from: 'me' },
    { ...here, from: 7 },
    { ...here, add: 'all' },
    { ...here, seq: -1 },
    { ...here, name: 'x'.repeat(300) },
    { ...message, m: [] },
    { ...message, m: { ...m, topic: 'a..b' } },
    { ...message, m: { ...m, topic: '_inbox.x.1' } },
    { ...message, m: { ...m, id: 'me' } },
    { ...message, m: { ...m, more: 1 } },
    JSON.stringify({ ...message, m: { ...m, data: { x: 1 } } }).replace('"x":1', '"__proto__":{"polluted":true}'),
    { ...message, m: { ...m, data: { $bytes: 7 } } },
    { ...message, left: 'soon' },
    { ...message, ask: 'all' },
    { v: 1, t: 'done', from: STRANGER, re: 7, how: 'handled' },
    { v: 1, t: 'credit', from: STRANGER, re: 'x', n: 'much' },
    { v: 1, t: 'here', from: STRANGER, name: 'y'.repeat(2_200_000) },
  ]
  for (const one of bad) enemy.publish(`_sb.to.${b.stats().wire?.id}`, bytes(one))
  enemy.publish('_sb.all', Uint8Array.of(0xff, 0xfe))
  await all.env.settle()
  expect(b.stats().wire?.framesDropped).toBe(bad.length + 1)
  expect(all.wires[1]!.faults.map((error) => (error as { code: string }).code)).toEqual(
    Array.from({ length: bad.length + 1 }, () => 'DECODE_FAILED'),
  )
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  expect(b.stats().ledger.published).toBe(0)
  expect((await a.request('sum', 1)).data).toBe(7)
})

test('whoever is not asked cannot answer, end or cancel, and knows no reply topic', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  let aborted = false
  b.subscribe('slow', async (_message, { signal }) => {
    signal.addEventListener('abort', () => {
      aborted = true
    })
    await new Promise<void>((resolve) => void all.env.after(100, resolve))
    return 'real'
  })
  await all.env.settle()
  const answer = a.request('slow', 1)
  await all.env.settle()
  const enemy = memoryWire(all.hub)
  const re = `_inbox.${a.stats().wire?.id}.0.000001`
  const [toA, toB] = [a, b].map((bus) => `_sb.to.${bus.stats().wire?.id}`) as [string, string]
  const m = { v: 1, id: '019b76da-abe8-7000-8972-3cc764b7c000', topic: re, priority: 'normal', time: 1, data: 'forged' }
  enemy.publish(toA, bytes({ v: 1, t: 'answer', from: STRANGER, m }))
  const real = all.wires[0]!.sent.map((one) => new TextDecoder().decode(one.bytes)).find((text) =>
    text.includes('"ask"'),
  )
  const known = (JSON.parse(real as string) as { re: string }).re
  for (const t of ['done', 'end', 'part'])
    enemy.publish(toA, bytes({ v: 1, t, from: STRANGER, re: known, how: 'failed', n: 0 }))
  enemy.publish(toB, bytes({ v: 1, t: 'cancel', from: STRANGER, re: known }))
  await all.env.advance(200)
  expect((await answer).data).toBe('real')
  expect(aborted).toBe(false)
  expect(a.stats().requests.strayAnswers).toBe(1)
})

test('a goodbye in the name of another process is mended at once', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  b.subscribe('sum', () => 7)
  await all.env.settle()
  memoryWire(all.hub).publish('_sb.all', bytes({ v: 1, t: 'bye', from: b.stats().wire?.id }))
  await all.env.settle()
  expect((await a.request('sum', 1)).data).toBe(7)
})

test('a flood of strangers costs a bounded number of questions and of remembered processes', async () => {
  await using all = await swarm(1)
  const [a] = all.buses as [Bus]
  const enemy = memoryWire(all.hub)
  const id = (at: number): string => at.toString(16).padStart(24, '0')
  for (let at = 0; at < 5_000; at++) enemy.publish('_sb.all', bytes({ v: 1, t: 'credit', from: id(at), re: 'x', n: 1 }))
  await all.env.settle()
  const before = a.stats().wire?.framesOut ?? 0
  expect(before).toBeLessThan(150)
  for (let at = 0; at < 5_000; at++) enemy.publish('_sb.all', bytes({ ...here, from: id(at) }))
  await all.env.settle()
  expect(a.processes().length).toBeLessThanOrEqual(4_096)
  await all.env.advance(25_000)
  expect(a.processes()).toEqual([])
})

test('more requests in hand than the limit of the bus are refused', async () => {
  await using all = await swarm(2, { limit: 50 })
  const [a, b] = all.buses as [Bus, Bus]
  b.subscribe('slow', () => new Promise(() => undefined), { concurrency: 1_000, limit: 1_000 })
  await all.env.settle()
  const asked = Array.from({ length: 60 }, () => thrown(a.request('slow', 1)))
  await all.env.settle()
  expect(b.stats().wire?.asks).toBe(50)
  expect(await Promise.all(asked.slice(50))).toMatchObject(Array.from({ length: 10 }, () => ({ code: 'QUEUE_FULL' })))
})

test('any JSON in any field of a frame does no harm', async () => {
  await using all = await swarm(2)
  const [a, b] = all.buses as [Bus, Bus]
  b.subscribe('sum', () => 7)
  await all.env.settle()
  const enemy = memoryWire(all.hub)
  const to = `_sb.to.${b.stats().wire?.id}`
  const kinds = ['here', 'beat', 'sync', 'bye', 'message', 'answer', 'done', 'part', 'end', 'credit', 'cancel', 'read']
  const field = fc.constantFrom(
    ...Object.keys(here),
    'm',
    're',
    'n',
    'how',
    'groups',
    'names',
    'everyone',
    'left',
    'ask',
    'stream',
    'start',
  )
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...kinds), fc.array(fc.tuple(field, fc.jsonValue())), async (t, fields) => {
      enemy.publish(to, bytes({ ...here, ...Object.fromEntries(fields), v: 1, t, from: STRANGER }))
      await new Promise<void>((resolve) => all.env.nextTurn(resolve))
    }),
    { numRuns: 500, seed: 7 },
  )
  await all.env.settle()
  expect((await a.request('sum', 1)).data).toBe(7)
  expect(all.wires[1]!.faults.filter((error) => (error as { code?: string }).code !== 'DECODE_FAILED')).toEqual([])
})
