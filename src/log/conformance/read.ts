import assert from 'node:assert/strict'
import type { Entry, Gap, MessageLog, ReadOptions } from '../log.ts'
import { all, consumer, dataOf, item, items, offsetsOf, patiently, refuses, type Suite } from './harness.ts'

/** What `read` promises. */
export function readCases({ on, clock }: Suite): void {
  const data = async (log: MessageLog, options?: ReadOptions): Promise<unknown[]> =>
    dataOf(await all(log.read('c/a', options)))

  on('[I13] a read yields every entry once, ascending, up to the end at the time of the call', async (log) => {
    for (let start = 1; start <= 3_000; start += 500) await log.append('c/a', items(500, start))
    const reading = log.read('c/a')
    await log.append('c/a', items(10, 9_000))
    assert.deepEqual(dataOf(await all(reading)), dataOf(items(3_000)))
    assert.equal((await data(log)).length, 3_010)
  })

  on('a read of a stream that does not exist yields nothing, and makes none', async (log) => {
    assert.deepEqual(await all(log.read('c/a')), [])
    assert.deepEqual(await log.streams(), [])
  })

  on('`from` begins with an entry, `after` behind it', async (log) => {
    await log.append('c/a', items(5))
    const offsets = await offsetsOf(log, 'c/a')
    const third = offsets[2] as string
    assert.deepEqual(await data(log, { from: third }), [3, 4, 5])
    assert.deepEqual(await data(log, { after: third }), [4, 5])
    assert.deepEqual(await data(log, { after: offsets[4] as string }), [])
    const [info] = await log.streams()
    assert.deepEqual(await data(log, { from: info?.next as string }), [])
    assert.deepEqual(await data(log, { from: info?.first as string }), [1, 2, 3, 4, 5])
  })

  on('`since` and `until` are times of storing, the first included, the second not', async (log) => {
    const times: number[] = []
    for (let one = 1; one <= 3; one++) {
      await log.append('c/a', [item(one)])
      times.push(((await all(log.read('c/a'))).at(-1) as Entry).storedAt)
      await clock.advance(20)
    }
    const [first, second, third] = times as [number, number, number]
    assert.deepEqual(await data(log, { since: second }), [2, 3])
    assert.deepEqual(await data(log, { since: second + 1 }), [3])
    assert.deepEqual(await data(log, { until: second }), [1])
    assert.deepEqual(await data(log, { until: second + 1 }), [1, 2])
    assert.deepEqual(await data(log, { since: first, until: third }), [1, 2])
    assert.deepEqual(await data(log, { since: third + 1 }), [])
    assert.deepEqual(await data(log, { since: 0, until: 1 }), [])
  })

  on('`last` is the newest so many of what the other options leave', async (log) => {
    await log.append('c/a', items(600))
    assert.deepEqual(await data(log, { last: 3 }), [598, 599, 600])
    assert.deepEqual(await data(log, { last: 0 }), [])
    assert.equal((await data(log, { last: 10_000 })).length, 600)
    const offsets = await offsetsOf(log, 'c/a')
    assert.deepEqual(await data(log, { last: 3, from: offsets[598] as string }), [599, 600])
    await clock.advance(20)
    const until = clock.wallMs()
    await clock.advance(20)
    await log.append('c/a', [item(601)])
    assert.deepEqual(await data(log, { last: 2, until }), [599, 600])
  })

  on('`openFor` leaves what the group has not settled; for a group that does not exist, everything', async (log) => {
    await log.append('c/a', items(10))
    assert.equal((await data(log, { openFor: 'g' })).length, 10)
    await using one = consumer(clock, log, 'c/a')
    const taken = await one.take(8)
    for (const index of [0, 1, 4, 6]) await taken[index]?.settle('acked')
    await taken[2]?.nack({ delayMs: 60_000 })
    assert.deepEqual(await data(log, { openFor: 'g' }), [3, 4, 6, 8, 9, 10])
    assert.deepEqual(await data(log, { openFor: 'g', last: 2 }), [9, 10])
    assert.deepEqual(await data(log, { openFor: 'g', last: 5 }), [4, 6, 8, 9, 10])
    assert.deepEqual(await data(log, { openFor: 'other', last: 1 }), [10])
    const offsets = await offsetsOf(log, 'c/a')
    assert.deepEqual(await data(log, { openFor: 'g', from: offsets[4] as string }), [6, 8, 9, 10])
  })

  on('[W18] `expiredBy` leaves messages whose time was up by then', async (log) => {
    const wallMs = clock.wallMs()
    const ttls = [undefined, 1_000, 50_000, undefined, 2_000]
    await log.append(
      'c/a',
      ttls.map((ttlMs, index) => item(index, {}, ttlMs === undefined ? {} : { ttlMs })),
    )
    const entries = await all(log.read('c/a'))
    const at = (index: number): number => (entries[index] as Entry).message.expiresAt as number
    assert.deepEqual(await data(log, { expiredBy: wallMs - 10_000 }), [])
    assert.deepEqual(await data(log, { expiredBy: at(1) }), [1])
    assert.deepEqual(await data(log, { expiredBy: at(1) - 1 }), [])
    assert.deepEqual(await data(log, { expiredBy: at(4) }), [1, 4])
    assert.deepEqual(await data(log, { expiredBy: Number.POSITIVE_INFINITY }), [1, 2, 4])
    assert.deepEqual(await data(log, { expiredBy: Number.POSITIVE_INFINITY, last: 2 }), [2, 4])
    const offsets = await offsetsOf(log, 'c/a')
    assert.equal(await log.settle('c/a', 'g', offsets[2] as string, 'expired'), true)
    assert.deepEqual(await data(log, { expiredBy: Number.POSITIVE_INFINITY, openFor: 'g' }), [1, 4])
  })

  on('many expired and open entries are found page after page', async (log) => {
    await log.append(
      'c/a',
      Array.from({ length: 2_000 }, (_, index) => item(index, {}, index % 3 === 0 ? { ttlMs: 1_000 } : {})),
    )
    const later = Number.POSITIVE_INFINITY
    const expired = Array.from({ length: 667 }, (_, index) => index * 3)
    assert.deepEqual(await data(log, { expiredBy: later }), expired)
    const offsets = await offsetsOf(log, 'c/a')
    await Promise.all(expired.slice(0, 600).map((index) => log.settle('c/a', 'g', offsets[index] as string, 'expired')))
    assert.deepEqual(await data(log, { expiredBy: later, openFor: 'g' }), expired.slice(600))
    assert.equal((await data(log, { openFor: 'g' })).length, 1_400)
  })

  on('[I13] `follow` goes on with what is stored, without hole or duplicate', async (log) => {
    await log.append('c/a', items(400))
    const controller = new AbortController()
    const seen: unknown[] = []
    const following = (async () => {
      for await (const entry of log.read('c/a', { follow: true, signal: controller.signal })) {
        if (entry.type === 'entry') seen.push(entry.message.data)
        if (seen.length === 2_400) controller.abort()
      }
    })()
    let next = 401
    while (next <= 2_400) {
      const count = Math.min(1 + (next % 37), 2_401 - next)
      const appended = log.append('c/a', items(count, next))
      if (next % 3 === 0) await appended
      next += count
    }
    await patiently(following, 'the last entry')
    assert.deepEqual(seen, dataOf(items(2_400)))
  })

  on('`follow` waits for a stream that does not exist yet, and ends with its signal while it waits', async (log) => {
    const controller = new AbortController()
    const iterator = log.read('c/a', { follow: true, signal: controller.signal })[Symbol.asyncIterator]()
    const first = iterator.next()
    await clock.advance(20)
    await log.append('c/a', items(1))
    assert.equal(((await patiently(first, 'the entry')).value as Entry).message.data, 1)
    const second = iterator.next()
    await clock.advance(20)
    controller.abort()
    assert.equal((await patiently(second, 'the end')).done, true)
    assert.equal((await iterator.next()).done, true)
  })

  on('a read whose signal was aborted before yields nothing, and one that is left early stops', async (log) => {
    await log.append('c/a', items(10))
    assert.deepEqual(await data(log, { signal: AbortSignal.abort() }), [])
    const iterator = log.read('c/a')[Symbol.asyncIterator]()
    await iterator.next()
    await iterator.return?.()
    assert.equal((await iterator.next()).done, true)
  })

  on('several calls of `next` at once are answered in order', async (log) => {
    await log.append('c/a', items(4))
    const iterator = log.read('c/a')[Symbol.asyncIterator]()
    const results = await Promise.all(Array.from({ length: 6 }, () => iterator.next()))
    assert.deepEqual(
      results.map(({ done, value }) => (done === true ? 'done' : (value as Entry).message.data)),
      [1, 2, 3, 4, 'done', 'done'],
    )
  })

  on('[I13] what retention removed is said as one gap, and nothing else is missing', async (log) => {
    await log.append('c/a', items(10))
    const offsets = await offsetsOf(log, 'c/a')
    assert.equal(await log.trim('c/a', { before: offsets[6] as string }), 6)
    const gaps = (list: readonly (Entry | Gap)[]): readonly unknown[] =>
      list.map((one) => (one.type === 'gap' ? [one.from, one.to, one.reason] : one.message.data))
    const trimmed = [offsets[0], offsets[5], 'trimmed']
    assert.deepEqual(gaps(await all(log.read('c/a'))), [trimmed, 7, 8, 9, 10])
    assert.deepEqual(gaps(await all(log.read('c/a', { from: offsets[4] as string }))), [
      [offsets[4], offsets[5], 'trimmed'],
      7,
      8,
      9,
      10,
    ])
    assert.deepEqual(gaps(await all(log.read('c/a', { after: offsets[5] as string }))), [7, 8, 9, 10])
    assert.deepEqual(gaps(await all(log.read('c/a', { last: 2 }))), [9, 10])
    // Nobody knows any more when those were stored: they may be of that time.
    assert.deepEqual(gaps(await all(log.read('c/a', { since: 0 }))), [trimmed, 7, 8, 9, 10])
    assert.deepEqual(gaps(await all(log.read('c/a', { openFor: 'g', last: 100 }))).at(-1), 10)
    assert.deepEqual((await log.streams())[0]?.gaps, [])
  })

  on('a read leaves no trace at any group', async (log) => {
    await log.append('c/a', items(3))
    await data(log)
    await data(log, { openFor: 'g' })
    assert.deepEqual(await log.groups(), [])
    await using one = consumer(clock, log, 'c/a')
    await data(log, { openFor: 'g' })
    assert.deepEqual(dataOf(await one.take(3)), [1, 2, 3])
  })

  on('options of a read that are wrong, or do not go together, are refused by name', async (log) => {
    const wrong: object[] = [
      { from: 'x' },
      { from: 1 },
      { after: '' },
      { from: '1', after: '1' },
      { follow: true, until: 1 },
      { follow: true, last: 1 },
      { last: -1 },
      { last: 1.5 },
      { since: 'now' },
      { until: Number.NaN },
      { expiredBy: null },
      { openFor: '' },
      { signal: {} },
      { fromm: '1' },
    ]
    for (const options of wrong) await refuses('INVALID_OPTION', () => all(log.read('c/a', options as ReadOptions)))
    await refuses('INVALID_OPTION', () => all(log.read('c/a', null as never)))
  })
}
