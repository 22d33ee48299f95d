import { expect, test } from 'vitest'
import { BusError } from '../kit/errors.ts'
import type { Entry, Gap, MessageLog } from '../log/log.ts'
import { memoryLog } from '../log/memory.ts'
import { fakeEnv } from '../testing/fake-env.ts'
import { openBlackboard } from './blackboard.ts'
import type { BoardChange } from './board-fold.ts'

const STREAM = 'blackboard/board'

async function countOf(log: MessageLog): Promise<number> {
  return (await log.streams('blackboard')).find(({ stream }) => stream === STREAM)?.count ?? 0
}

/** The same log with some parts replaced. */
function changed(log: MessageLog, parts: Partial<MessageLog>): MessageLog {
  return { ...log, ...parts }
}

async function refusal(promise: Promise<unknown>): Promise<BusError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof BusError)) throw new Error(`not refused by us: ${String(error)}`)
  return error
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => void setImmediate(resolve))
}

test('what was written is read at once, with the version and time of the change, and cannot be changed', async () => {
  const env = fakeEnv({ wallMs: 1_000 })
  await using log = memoryLog({ env })
  await using board = await openBlackboard(log, { env, agent: 'pink' })
  const given = { step: 1, by: ['a', null, true, -0.5, 'ü"\u2028'] }
  const first = await board.write('plan', given)
  given.step = 99
  expect(first).toEqual({
    key: 'plan',
    value: { step: 1, by: ['a', null, true, -0.5, 'ü"\u2028'] },
    version: 1,
    time: 1_000,
    by: 'pink',
  })
  expect(board.read('plan')).toBe(first)
  expect(Object.isFrozen((first.value as typeof given).by)).toBe(true)
  await env.advance(5)
  expect(await board.write('plan', 'anew')).toMatchObject({ version: 2, time: 1_005, value: 'anew' })
  expect(board.read('none')).toBeUndefined()
  const odd = await board.write('odd', JSON.parse('{"__proto__":{"x":1}}'))
  expect([JSON.stringify(odd.value), Object.getPrototypeOf(odd.value)]).toEqual([
    '{"__proto__":{"x":1}}',
    Object.prototype,
  ])
})

test('keys are listed by prefix, in order, and a deleted key is gone', async () => {
  await using log = memoryLog()
  await using board = await openBlackboard(log)
  for (const key of ['b.2', 'a', 'b.1', 'b', 'c']) await board.write(key, key)
  expect(board.list('b').map((one) => one.key)).toEqual(['b', 'b.1', 'b.2'])
  expect([await board.delete('b'), await board.delete('b')]).toEqual([true, false])
  expect(board.list().map((one) => one.value)).toEqual(['a', 'b.1', 'b.2', 'c'])
  // A key that comes back has no version that it had before.
  expect((await board.write('b', 1)).version).toBe(7)
})

test('a write or delete that expects another version is refused and changes nothing', async () => {
  await using log = memoryLog()
  await using board = await openBlackboard(log)
  const { version } = await board.write('plan', 1, { expect: 0 })
  expect(await refusal(board.write('plan', 2, { expect: 0 }))).toMatchObject({
    code: 'VERSION_CONFLICT',
    details: { key: 'plan', expected: 0, actual: version },
  })
  const second = await board.write('plan', 2, { expect: version })
  expect((await refusal(board.write('plan', 3, { expect: version }))).details.actual).toBe(second.version)
  expect((await refusal(board.delete('plan', { expect: version }))).code).toBe('VERSION_CONFLICT')
  expect((await refusal(board.write('none', 1, { expect: version }))).message).toBe('"none" does not exist, not 1')
  expect(board.list()).toEqual([second])
  expect(await board.delete('plan', { expect: second.version })).toBe(true)
})

test('of many who write on the same version one wins, whatever board they use', async () => {
  await using log = memoryLog()
  const boards = await Promise.all([1, 2, 3].map(() => openBlackboard(log)))
  const add = async (index: number): Promise<void> => {
    const board = boards[index % 3] as (typeof boards)[number]
    for (;;) {
      const now = board.read<number>('sum')
      try {
        await board.write('sum', (now?.value ?? 0) + 1, { expect: now?.version ?? 0 })
        return
      } catch (error) {
        expect((error as BusError).code).toBe('VERSION_CONFLICT')
      }
    }
  }
  await Promise.all(Array.from({ length: 60 }, (_, index) => add(index)))
  await until(() => boards.every((board) => board.read('sum')?.value === 60))
  expect(boards.map((board) => board.stats().version)).toEqual([60, 60, 60])
  for (const board of boards) await board[Symbol.asyncDispose]()
})

test.each([
  ['undefined', undefined, '"k" is of type undefined'],
  ['a function', { a: [() => 1] }, '"k.a[0]" is of type function'],
  ['NaN', [1, Number.NaN], '"k[1]" is of type number: NaN'],
  ['a Date', { at: new Date(0) }, '"k.at" is no plain object'],
  ['a hole', new Array(1), '"k[0]" is of type undefined'],
  ['toJSON', { toJSON: () => 1 }, '"k" is an object with toJSON'],
])('a value with %s is refused, naming the place', async (_what, value, text) => {
  await using log = memoryLog()
  await using board = await openBlackboard(log)
  const error = await refusal(board.write('k', value))
  expect(error.code).toBe('INVALID_PAYLOAD')
  expect(error.message).toContain(text)
  expect(await countOf(log)).toBe(0)
})

test('a cycle, a value above 1 MiB and a bad key are refused', async () => {
  await using log = memoryLog()
  await using board = await openBlackboard(log)
  const cycle: Record<string, unknown> = {}
  cycle.self = cycle
  expect((await refusal(board.write('k', cycle))).message).toContain('deeper than 64 levels, or a cycle')
  const largest = 'x'.repeat(1_048_574)
  expect((await board.write('k', largest)).value).toBe(largest)
  expect((await refusal(board.write('k', `${largest}x`))).code).toBe('PAYLOAD_TOO_LARGE')
  for (const key of ['', 'a\n', 'x'.repeat(513), 7 as never]) {
    expect((await refusal(board.write(key, 1))).code).toBe('INVALID_OPTION')
  }
  expect((await refusal(board.write('k', 1, { expect: -1 }))).code).toBe('INVALID_OPTION')
  expect((await refusal(openBlackboard(log, { mostKeys: 0 }))).code).toBe('INVALID_OPTION')
})

test('at its most keys a board refuses new ones with BLACKBOARD_FULL, or evicts the longest unwritten one', async () => {
  await using log = memoryLog()
  await using board = await openBlackboard(log, { mostKeys: 2 })
  await board.write('a', 1)
  await board.write('b', 1)
  await board.write('a', 2)
  expect(await refusal(board.write('c', 1))).toMatchObject({ code: 'BLACKBOARD_FULL', details: { key: 'c', keys: 2 } })
  await using evicting = await openBlackboard(log, { mostKeys: 2, overflow: 'evict-oldest' })
  const changes: BoardChange[] = []
  board.watch('', (change) => changes.push(change))
  await evicting.write('c', 3)
  await until(() => changes.length === 2)
  expect(changes).toMatchObject([
    { type: 'evicted', key: 'b', before: 2, value: undefined },
    { type: 'written', key: 'c', before: 0, value: 3 },
  ])
  expect(board.list().map((one) => one.key)).toEqual(['a', 'c'])
})

test('watchers and loops hear every change of their keys, in one order, from whatever board', async () => {
  await using log = memoryLog()
  const one = await openBlackboard(log, { agent: 'one' })
  const two = await openBlackboard(log, { agent: 'two' })
  const heard: string[] = []
  const end = one.watch('a', (change) => heard.push(`${change.type} ${change.key} ${change.by} ${change.before}`))
  const loop = two.changes('a')
  await Promise.all([one.write('a1', 1), two.write('a1', 2), two.write('b', 3), one.delete('a1')])
  await until(() => heard.length === 3)
  expect(heard).toEqual(['written a1 one 0', 'written a1 two 1', 'deleted a1 one 2'])
  const seen: unknown[] = []
  for await (const { type, version } of loop) if (seen.push([type, version]) === 3) break
  expect(seen).toEqual([
    ['written', 1],
    ['written', 2],
    ['deleted', 4],
  ])
  end()
  await one.write('a2', 1)
  expect(heard).toHaveLength(3)
  expect([one.stats().watchers, two.stats().watchers]).toEqual([0, 0])
  await one[Symbol.asyncDispose]()
  await two[Symbol.asyncDispose]()
})

test('a watcher that throws or rejects is counted and told, and stops nothing', async () => {
  await using log = memoryLog()
  const faults: unknown[] = []
  await using board = await openBlackboard(log, { onFault: (error) => faults.push(error) })
  const heard: unknown[] = []
  board.watch('', () => {
    throw new Error('now')
  })
  board.watch('', async () => Promise.reject(new Error('later')))
  board.watch('', ({ value }) => heard.push(value))
  await board.write('a', 1)
  await board.write('a', 2)
  await until(() => faults.length === 4)
  expect(heard).toEqual([1, 2])
  expect(board.stats().faults).toBe(4)
})

test('a loop that is too slow ends with STREAM_GAP, or misses the oldest changes, counted', async () => {
  await using log = memoryLog()
  await using board = await openBlackboard(log)
  const failing = board.changes('', { limit: 3 })
  const dropping = board.changes('', { limit: 3, overflow: 'drop-oldest' })
  for (let value = 1; value <= 5; value++) await board.write('a', value)
  const got: unknown[] = []
  const error = await refusal(
    (async () => {
      for await (const { value } of failing) got.push(value)
    })(),
  )
  expect([error.code, got]).toEqual(['STREAM_GAP', [1, 2, 3]])
  expect(await failing.next()).toEqual({ done: true, value: undefined })
  const kept: unknown[] = []
  for await (const { value } of dropping) if (kept.push(value) === 3) break
  expect([kept, board.stats().dropped]).toEqual([[3, 4, 5], 2])
})

test('loops end by their signal, and with the board; what is asked afterwards is refused', async () => {
  await using log = memoryLog()
  const board = await openBlackboard(log)
  const stop = new AbortController()
  const loops = [board.changes('', { signal: stop.signal }), board.changes()]
  const ends = loops.map(async (loop) => (await loop.next()).done)
  stop.abort()
  expect(await ends[0]).toBe(true)
  await board[Symbol.asyncDispose]()
  expect(await ends[1]).toBe(true)
  expect((await refusal(board.write('a', 1))).code).toBe('BUS_CLOSED')
  expect(() => board.watch('', () => undefined)).toThrow('is closed')
  await board[Symbol.asyncDispose]()
  expect((await (await openBlackboard(log)).write('a', 1)).version).toBe(1)
})

test('the log closing below a board ends its loops and refuses its writes', async () => {
  const log = memoryLog()
  const board = await openBlackboard(log)
  const next = board.changes().next()
  await log[Symbol.asyncDispose]()
  expect((await next).done).toBe(true)
  expect((await refusal(board.write('a', 1))).code).toBe('BUS_CLOSED')
})

test('100 000 writes to one key leave a bounded stream, and whoever opens it later knows all of it', async () => {
  await using log = memoryLog()
  await using board = await openBlackboard(log)
  await using other = await openBlackboard(log)
  await board.write('quiet', 'stays')
  let most = 0
  for (let value = 1; value < 100_000; value += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, index) => board.write('hot', value + index)))
    most = Math.max(most, await countOf(log))
  }
  expect(most).toBeLessThan(5_000)
  expect(board.stats().compactions).toBeGreaterThan(40)
  await using late = await openBlackboard(log)
  expect(late.list()).toEqual(board.list())
  expect(late.stats().version).toBe(100_001)
  expect(late.read('quiet')?.version).toBe(1)
  await until(() => other.stats().version === 100_001)
  expect(other.list()).toEqual(board.list())
})

test('a state larger than one message is stored anew in parts', async () => {
  await using log = memoryLog()
  await using board = await openBlackboard(log, { compactAfter: 5 })
  const values = Array.from({ length: 12 }, (_, index) => `${index}`.repeat(100_000))
  for (const [index, value] of values.entries()) await board.write(`k${index}`, value)
  while (board.stats().compactions < 3) await board.write('k0', values[0])
  expect(await countOf(log)).toBeLessThan(80)
  await using late = await openBlackboard(log)
  expect(late.list()).toEqual(board.list())
})

test('a compaction that fails is told, and one of the next writers tries again', async () => {
  await using log = memoryLog()
  let refuses = true
  const failing = changed(log, {
    append: async (stream, items) => {
      const { topic } = items[0]?.message ?? { topic: '' }
      if (refuses && topic === 'blackboard.keep') throw new BusError('STORE_FULL', 'no room')
      return log.append(stream, items)
    },
  })
  const faults: unknown[] = []
  await using board = await openBlackboard(failing, { compactAfter: 8, onFault: (error) => faults.push(error) })
  for (let value = 0; value < 20; value++) await board.write('a', value)
  expect(faults.length).toBeGreaterThan(1)
  expect([board.stats().compactions, board.stats().faults]).toEqual([0, faults.length])
  refuses = false
  for (let value = 0; value < 40; value++) await board.write('a', value)
  expect(board.stats().compactions).toBeGreaterThan(2)
  expect(await countOf(log)).toBeLessThan(40)
})

test('a write that the log refuses, or does not answer, settles, and the next one works', async () => {
  const env = fakeEnv()
  await using log = memoryLog({ env })
  let mode: 'refuse' | 'silent' | 'works' = 'refuse'
  const broken = changed(log, {
    append: (stream, items) => {
      if (mode === 'refuse') return Promise.reject(new BusError('STORE_FULL', 'no room'))
      return mode === 'silent' ? new Promise(() => undefined) : log.append(stream, items)
    },
  })
  const board = await openBlackboard(broken, { env, timeoutMs: 500 })
  expect((await refusal(board.write('a', 1))).code).toBe('STORE_FULL')
  mode = 'silent'
  const lost = refusal(board.write('a', 2))
  await env.advance(500)
  expect((await lost).code).toBe('PUBLISH_UNKNOWN')
  mode = 'works'
  expect((await board.write('a', 3)).version).toBe(1)
  mode = 'silent'
  const open = refusal(board.write('a', 4))
  await board[Symbol.asyncDispose]()
  expect((await open).code).toBe('BUS_CLOSED')
  expect(env.timers).toBe(0)
})

test('a hole in the stream is DATA_LOSS, unless it is accepted', async () => {
  await using log = memoryLog()
  {
    await using board = await openBlackboard(log)
    for (const key of ['a', 'b', 'c']) await board.write(key, key)
  }
  const holed = changed(log, {
    read: async function* read(stream, options): AsyncGenerator<Entry | Gap> {
      for await (const one of log.read(stream, options)) {
        const { offset } = one as Entry
        const isB =
          (one as Entry).message.data !== undefined && JSON.stringify((one as Entry).message.data).includes('"b"')
        yield isB ? { type: 'gap', stream, from: offset, to: offset, reason: 'damaged' } : one
      }
    },
  })
  expect((await refusal(openBlackboard(holed))).code).toBe('DATA_LOSS')
  await using board = await openBlackboard(holed, { acceptLoss: true })
  expect(board.list().map((one) => one.key)).toEqual(['a', 'c'])
})
