import assert from 'node:assert/strict'
import { all, consumer, dataOf, figures, items, offsetsOf, refuses, type Suite } from './harness.ts'

/** What streams, groups, retention and the end of a log promise. */
export function groupCases({ on, clock }: Suite): void {
  on('`join` makes a group that holds its place, and does nothing when it exists', async (log) => {
    await log.append('c/a', items(2))
    await log.join('c/a', 'g', 'now')
    await log.join('c/a', 'g', 'first')
    await log.append('c/a', items(1, 3))
    await using one = consumer(clock, log, 'c/a')
    assert.equal((await one.next()).message.data, 3)
  })

  on('a group may be made before the first entry of its stream', async (log) => {
    await log.join('c/a', 'g', 'now')
    assert.deepEqual(await log.streams(), [])
    assert.equal((await figures(log, 'c/a')).published, 0)
    await log.append('c/a', items(2))
    await using one = consumer(clock, log, 'c/a')
    assert.deepEqual(dataOf(await one.take(2)), [1, 2])
  })

  on('`leave` forgets a group, ends its consumers, and makes its leases stale', async (log) => {
    await log.append('c/a', items(3))
    const one = consumer(clock, log, 'c/a')
    const [first, second] = await one.take(2)
    await first?.settle('acked')
    assert.equal(await log.leave('c/a', 'g'), true)
    assert.equal(await log.leave('c/a', 'g'), false)
    assert.deepEqual(await log.groups(), [])
    await one.ended()
    assert.equal(await second?.settle('acked'), false)
    await using two = consumer(clock, log, 'c/a')
    const again = await two.take(3)
    assert.deepEqual(dataOf(again), [1, 2, 3])
    assert.ok(again.every(({ attempt }) => attempt === 1))
  })

  on('`streams` lists what lies where, all or of one channel, by name', async (log) => {
    await log.append('b/low', items(3))
    await log.append('a/x', items(1))
    await log.append('b/high', items(2))
    await log.append('b', items(1))
    const list = async (channel?: string): Promise<unknown[]> =>
      (await log.streams(channel)).map(({ stream, count }) => [stream, count])
    assert.deepEqual(await list(), [
      ['a/x', 1],
      ['b', 1],
      ['b/high', 2],
      ['b/low', 3],
    ])
    assert.deepEqual(await list('b'), [
      ['b', 1],
      ['b/high', 2],
      ['b/low', 3],
    ])
    assert.deepEqual(await list('nobody'), [])
    const [info] = await log.streams('a')
    assert.ok(info && info.bytes > 0)
    assert.deepEqual(dataOf(await all(log.read('a/x', { from: info.first }))), [1])
    await log.append('a/x', items(1, 2))
    assert.deepEqual(dataOf(await all(log.read('a/x', { from: info.next }))), [2])
    assert.ok(((await log.streams('a'))[0]?.bytes as number) > info.bytes)
  })

  on('`groups` lists all, or those of one stream, by stream and name', async (log) => {
    await log.append('b/x', items(1))
    await log.append('a/x', items(1))
    for (const [stream, group] of [
      ['b/x', 'two'],
      ['a/x', 'one'],
      ['b/x', 'one'],
    ] as const)
      await log.join(stream, group)
    const list = async (stream?: string): Promise<string[]> =>
      (await log.groups(stream)).map((info) => `${info.stream} ${info.group}`)
    assert.deepEqual(await list(), ['a/x one', 'b/x one', 'b/x two'])
    assert.deepEqual(await list('b/x'), ['b/x one', 'b/x two'])
    assert.deepEqual(await list('c/x'), [])
  })

  on('retention removes nothing that some group has not settled', async (log) => {
    await log.append('c/a', items(10))
    const offsets = await offsetsOf(log, 'c/a')
    await using fast = consumer(clock, log, 'c/a', 'fast')
    await using slow = consumer(clock, log, 'c/a', 'slow')
    for (const delivery of await fast.take(10)) await delivery.settle('acked')
    const [first, second, third, fourth] = await slow.take(4)
    for (const delivery of [first, second, fourth]) await delivery?.settle('acked')
    assert.equal(await log.trim('c/a', { maxCount: 0 }), 2)
    await third?.nack({ delayMs: 60_000 })
    assert.equal(await log.trim('c/a', { before: offsets[9] as string }), 0)
    assert.deepEqual(dataOf((await all(log.read('c/a'))).slice(1)), [3, 4, 5, 6, 7, 8, 9, 10])
    assert.equal(await log.settle('c/a', 'slow', offsets[2] as string, 'dropped'), true)
    assert.equal(await log.trim('c/a', { maxCount: 0 }), 2)
    assert.deepEqual(dataOf(await slow.take(6)), [5, 6, 7, 8, 9, 10])
    assert.equal((await figures(log, 'c/a', 'slow')).published, 10)
    assert.equal(await log.leave('c/a', 'slow'), true)
    assert.equal(await log.trim('c/a', { maxCount: 0 }), 6)
    const [info] = await log.streams()
    assert.deepEqual([info?.count, info?.bytes, info?.first], [0, 0, info?.next])
    await log.append('c/a', items(1, 11))
    assert.equal((await fast.next()).message.data, 11)
  })

  on('each option of retention removes what it allows', async (log) => {
    await log.append('c/a', items(10))
    const offsets = await offsetsOf(log, 'c/a')
    await clock.advance(20)
    const storedBefore = clock.wallMs()
    await clock.advance(20)
    await log.append('c/a', items(10, 11))
    const rest = async (): Promise<unknown> => dataOf((await all(log.read('c/a'))).slice(1))[0]
    assert.equal(await log.trim('c/a', {}), 0)
    assert.equal(await log.trim('c/a', { before: offsets[3] as string }), 3)
    assert.equal(await rest(), 4)
    assert.equal(await log.trim('c/a', { storedBefore }), 7)
    assert.equal(await rest(), 11)
    const [{ bytes } = { bytes: 0 }] = await log.streams()
    assert.equal(await log.trim('c/a', { maxBytes: bytes }), 0)
    assert.equal(await log.trim('c/a', { maxBytes: Math.ceil(bytes / 2) }), 5)
    assert.ok(((await log.streams())[0]?.bytes as number) <= bytes / 2 + 1)
    assert.equal(await log.trim('c/a', { maxCount: 2, maxBytes: bytes }), 3)
    assert.equal(await rest(), 19)
    assert.equal(await log.trim('c/a', { maxCount: 2 }), 0)
    assert.equal(await log.trim('nobody/there', { maxCount: 0 }), 0)
    for (const wrong of [{ before: 'x' }, { maxCount: -1 }, { maxBytes: 1.5 }, { storedBefore: 'x' }, { max: 1 }]) {
      await refuses('INVALID_OPTION', () => log.trim('c/a', wrong as object))
    }
  })

  on('a group that comes after retention begins with the first entry that is left', async (log) => {
    await log.append('c/a', items(5))
    const offsets = await offsetsOf(log, 'c/a')
    await log.trim('c/a', { before: offsets[3] as string })
    await using one = consumer(clock, log, 'c/a', 'g', { from: { after: offsets[0] as string } })
    assert.deepEqual(dataOf(await one.take(2)), [4, 5])
    assert.equal((await figures(log, 'c/a')).published, 2)
    assert.equal(await log.settle('c/a', 'g', offsets[0] as string, 'dropped'), false)
  })

  on('consumers, readers and retention at the same time lose nothing', async (log) => {
    await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 20 })
    let next = 1
    for (let round = 0; round < 40; round++) {
      const appended = log.append('c/a', items(25, round * 25 + 1))
      if (round % 2 === 0) await appended
      for (const delivery of await one.take(20)) {
        assert.equal(delivery.message.data, next++)
        void delivery.settle('acked')
      }
      const [, seen] = await Promise.all([log.trim('c/a', { maxCount: 10 }), all(log.read('c/a'))])
      const data = seen.flatMap((entry) => (entry.type === 'entry' ? [entry.message.data as number] : []))
      assert.deepEqual(
        data,
        data.map((_, index) => (data[0] as number) + index),
      )
    }
    assert.equal(next, 801)
  })

  on('[I12] after its end every method of the log is refused, and ending it again does nothing', async (log) => {
    await log.append('c/a', items(3))
    const one = consumer(clock, log, 'c/a')
    const delivery = await one.next()
    const reading = log.read('c/a')
    const consuming = log.consume('c/a', 'g')
    await Promise.all([log[Symbol.asyncDispose](), log[Symbol.asyncDispose]()])
    await log[Symbol.asyncDispose]()
    const calls: (() => unknown)[] = [
      () => log.append('c/a', items(1)),
      () => log.append('c/a', []),
      () => log.read('c/a'),
      () => all(reading),
      () => log.consume('c/a', 'g'),
      () => log.settle('c/a', 'g', '1', 'acked'),
      () => log.join('c/a', 'g'),
      () => log.leave('c/a', 'g'),
      () => log.trim('c/a', {}),
      () => log.find('c', 'k'),
      () => log.streams(),
      () => log.groups(),
    ]
    for (const call of calls) await refuses('BUS_CLOSED', call)
    assert.deepEqual(await all(consuming), [])
    assert.deepEqual(
      [await delivery.settle('acked'), await delivery.nack(), await delivery.extend()],
      [false, false, false],
    )
    await one.ended()
  })

  on('[I12] what was asked for before the end is done', async (log) => {
    await log.append('c/a', items(3))
    await using one = consumer(clock, log, 'c/a')
    const [first, second] = await one.take(2)
    assert.ok(first && second)
    const appending = log.append('c/a', items(2, 4))
    const settling = Promise.all([first.settle('acked'), second.settle('dead', { stream: 'c/dead' })])
    await log[Symbol.asyncDispose]()
    assert.equal((await appending).length, 2)
    assert.deepEqual(await settling, [true, true])
  })

  on('a reader that follows ends with the log', async (log) => {
    await log.append('c/a', items(2))
    const seen: unknown[] = []
    const following = (async () => {
      for await (const entry of log.read('c/a', { follow: true })) seen.push(entry.type)
    })()
    for (let turns = 0; seen.length < 2 && turns < 500; turns++) await clock.advance(10)
    await log[Symbol.asyncDispose]()
    await following
    assert.deepEqual(seen, ['entry', 'entry'])
  })
}
