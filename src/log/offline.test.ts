import { expect, test } from 'vitest'
import { Watch } from '../broker/watch.ts'
import { BusError } from '../kit/errors.ts'
import { messageMaker } from '../message/make.ts'
import { type FakeEnv, fakeEnv } from '../testing/fake-env.ts'
import type { Item, MessageLog } from './log.ts'
import { memoryLog } from './memory.ts'
import { type HeldAppendsOptions, heldAppends } from './offline.ts'

const lost = { type: 'lost', why: 'it was pulled' } as const
const restored = { type: 'restored', downMs: 1, tries: 1 } as const
const { make } = messageMaker()

function items(...data: number[]): Item[] {
  return data.map((one) => ({ message: make('t', one) }))
}

interface Rig {
  readonly env: FakeEnv
  readonly watch: Watch
  readonly inner: MessageLog
  readonly log: MessageLog
  /** The data of all stored messages, in their order. */
  stored(): Promise<unknown[]>
}

/** A log whose connection the test breaks; `append` may take the place of that of the log beneath. */
function rig(options: HeldAppendsOptions = {}, append?: (log: MessageLog) => MessageLog['append']): Rig {
  const env = fakeEnv()
  const watch = new Watch()
  const memory = memoryLog({ env })
  const inner = append === undefined ? memory : { ...memory, append: append(memory) }
  return {
    env,
    watch,
    inner,
    log: heldAppends(inner, watch, { env, ...options }),
    async stored() {
      const data: unknown[] = []
      for await (const entry of memory.read('c/a')) if (entry.type === 'entry') data.push(entry.message.data)
      return data
    },
  }
}

/** The code with which each of them ended, or `stored`. */
async function ends(calls: readonly Promise<unknown>[]): Promise<unknown[]> {
  const outcomes = await Promise.allSettled(calls)
  return outcomes.map((outcome) => (outcome.status === 'fulfilled' ? 'stored' : outcome.reason.code))
}

test('while the connection stands an append goes straight to the log', async () => {
  const { env, log, inner, stored } = rig()
  await using _ = log
  const [first] = await log.append('c/a', items(1))
  expect(first?.duplicate).toBe(false)
  expect(await stored()).toEqual([1])
  expect([log.name, log.level, log.supports]).toEqual([inner.name, inner.level, inner.supports])
  expect((await log.streams()).map(({ stream }) => stream)).toEqual(['c/a'])
  await log.join('c/a', 'g')
  expect((await log.groups()).map(({ group }) => group)).toEqual(['g'])
  expect(env.timers).toBe(0)
})

test('[C25][W21] appends wait for the connection, and go out in order, before newer ones', async () => {
  const { watch, env, log, stored } = rig()
  await using _ = log
  watch.tell(lost)
  const calls = [1, 2, 3].map((one) => log.append('c/a', items(one, one * 10)))
  await env.advance(4_000)
  expect(await stored()).toEqual([])
  watch.tell({ type: 'retry', tries: 1, why: 'no', nextMs: 5 })
  expect(await stored()).toEqual([])
  watch.tell(restored)
  calls.push(log.append('c/a', items(4)))
  expect(await ends(calls)).toEqual(['stored', 'stored', 'stored', 'stored'])
  expect(await stored()).toEqual([1, 10, 2, 20, 3, 30, 4])
  expect(env.timers).toBe(0)
})

test('who appends at the very return, before the log has heard of it, comes behind what waits', async () => {
  const watch = new Watch()
  const inner = memoryLog()
  let last: Promise<unknown> | undefined
  watch.on(({ type }) => {
    if (type === 'restored') last = log.append('c/a', items(2))
  })
  const log: MessageLog = heldAppends(inner, watch)
  await using _ = log
  watch.tell(lost)
  const first = log.append('c/a', items(1))
  watch.tell(restored)
  await Promise.all([first, last])
  const data: unknown[] = []
  for await (const entry of inner.read('c/a')) if (entry.type === 'entry') data.push(entry.message.data)
  expect(data).toEqual([1, 2])
})

test('[I9] above the limit of messages an append is refused with STORE_FULL, and costs those that wait nothing', async () => {
  const { watch, log, stored } = rig({ limit: 3 })
  await using _ = log
  watch.tell(lost)
  const calls = [log.append('c/a', items(1, 2)), log.append('c/a', items(3, 4)), log.append('c/a', items(5))]
  const one = log.append('c/a', items(6))
  await expect(one).rejects.toMatchObject({ code: 'STORE_FULL', details: { waiting: 3, limit: 3, stream: 'c/a' } })
  watch.tell(restored)
  expect(await ends(calls)).toEqual(['stored', 'STORE_FULL', 'stored'])
  expect(await stored()).toEqual([1, 2, 5])
  watch.tell(lost)
  // The room is free again.
  const again = log.append('c/a', items(7, 8, 9))
  watch.tell(restored)
  expect(await ends([again])).toEqual(['stored'])
})

test('[I11] an append that waited for its time fails at it, and is surely not stored', async () => {
  const { watch, env, log, stored } = rig({ forMs: 1_000, limit: 2 })
  await using _ = log
  watch.tell(lost)
  const first = ends([log.append('c/a', items(1))])
  await env.advance(600)
  const second = ends([log.append('c/a', items(2))])
  await env.advance(400)
  expect(await first).toEqual(['STORE_FAILED'])
  const third = ends([log.append('c/a', items(3))])
  await env.advance(599)
  watch.tell(restored)
  expect([await second, await third]).toEqual([['stored'], ['stored']])
  expect(await stored()).toEqual([2, 3])
  expect(env.timers).toBe(0)
})

test('with `forMs: 0` it is refused at once', async () => {
  const { watch, env, log, stored } = rig({ forMs: 0 })
  await using _ = log
  watch.tell(lost)
  expect(await ends([log.append('c/a', items(1))])).toEqual(['STORE_FAILED'])
  watch.tell(restored)
  expect(await ends([log.append('c/a', items(2))])).toEqual(['stored'])
  expect([await stored(), env.timers]).toEqual([[2], 0])
})

test('what the log surely did not store, for the connection broke under it, waits in its place', async () => {
  let watching: Watch | undefined
  let broken = false
  const { watch, log, stored } = rig({}, (inner) => async (stream, list) => {
    if (broken) {
      await Promise.resolve()
      if (watching?.isUp) watching.tell(lost)
      throw new BusError('BROKER_UNREACHABLE', 'no')
    }
    return inner.append(stream, list)
  })
  watching = watch
  await using _ = log
  broken = true
  const calls = [log.append('c/a', items(1)), log.append('c/a', items(2))]
  calls.push(Promise.resolve().then(() => log.append('c/a', items(3))) as never)
  await Promise.resolve()
  await Promise.resolve()
  calls.push(log.append('c/a', items(4)))
  broken = false
  watch.tell(restored)
  expect(await ends(calls)).toEqual(['stored', 'stored', 'stored', 'stored'])
  expect(await stored()).toEqual([1, 2, 3, 4])
})

test('an append of which it is unknown whether it was stored is not tried again', async () => {
  let tries = 0
  const { watch, log } = rig({}, () => async () => {
    tries++
    watching?.tell(lost)
    throw new BusError('PUBLISH_UNKNOWN', 'perhaps')
  })
  const watching: Watch | undefined = watch
  await using _ = log
  expect(await ends([log.append('c/a', items(1))])).toEqual(['PUBLISH_UNKNOWN'])
  watch.tell(restored)
  expect(tries).toBe(1)
})

test('faults while the connection stands, and wrong arguments, are those of the log', async () => {
  const { watch, log } = rig({}, () => async () => {
    throw new BusError('STORE_FAILED', 'a fault of its own')
  })
  await using _ = log
  await expect(log.append('c/a', items(1))).rejects.toThrow('a fault of its own')
  const { log: sound, watch: other } = rig()
  await using __ = sound
  await expect(async () => sound.append('c/a', 5 as never)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  other.tell(lost)
  await expect(async () => sound.append('c/a', 5 as never)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  expect(watch.isUp).toBe(true)
})

test('disposal refuses what waits; afterwards the log refuses', async () => {
  const { watch, env, log, stored } = rig()
  watch.tell(lost)
  const waiting = ends([log.append('c/a', items(1))])
  await log[Symbol.asyncDispose]()
  await log[Symbol.asyncDispose]()
  expect(await waiting).toEqual(['STORE_FAILED'])
  watch.tell(restored)
  await expect(async () => log.append('c/a', items(2))).rejects.toMatchObject({ code: 'BUS_CLOSED' })
  await expect(stored()).rejects.toMatchObject({ code: 'BUS_CLOSED' })
  expect(env.timers).toBe(0)
})

test('a list that is changed after the call changes nothing', async () => {
  const { watch, log, stored } = rig()
  await using _ = log
  watch.tell(lost)
  const list = items(1)
  const call = log.append('c/a', list)
  list.push(...items(2))
  watch.tell(restored)
  await call
  expect(await stored()).toEqual([1])
})

test('wrong options are refused', () => {
  for (const options of [{ limit: 0 }, { forMs: -1 }, { other: 1 }] as HeldAppendsOptions[]) {
    expect(() => heldAppends(memoryLog(), new Watch(), options)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    )
  }
})
