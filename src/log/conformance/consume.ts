import assert from 'node:assert/strict'
import type { ConsumeOptions } from '../log.ts'
import {
  consumer,
  dataOf,
  figures,
  item,
  items,
  offsetsOf,
  patiently,
  refuses,
  type Suite,
  type TestConsumer,
} from './harness.ts'

/** What `consume` promises of hand-out, competition and ending. */
export function consumeCases({ on, clock }: Suite): void {
  on('a group gets every entry once, the oldest first, each with what was stored', async (log) => {
    const appended = await log.append('c/a', [item('x', { note: 'n' }), ...items(99)])
    await using one = consumer(clock, log, 'c/a')
    const [first, ...rest] = await one.take(100)
    assert.ok(first)
    const { type, stream, group, offset, message, note, attempt, dueInMs, suspect } = first
    assert.deepEqual(
      { type, stream, group, offset, id: message.id, note, attempt, dueInMs, suspect },
      {
        ...{ type: 'delivery', stream: 'c/a', group: 'g', offset: appended[0]?.offset, id: appended[0]?.id, note: 'n' },
        attempt: 1,
        dueInMs: 0,
        suspect: false,
      },
    )
    assert.ok(first.storedAt > 0)
    assert.deepEqual(dataOf(rest), dataOf(items(99)))
    await one.none()
  })

  on('a consumer waits for more, and gets it when it is stored', async (log) => {
    await using one = consumer(clock, log, 'c/a')
    await one.none()
    await log.append('c/a', items(2))
    assert.deepEqual(dataOf(await one.take(2)), [1, 2])
    await one.none()
    await log.append('c/a', items(1, 3))
    assert.equal((await one.next()).message.data, 3)
  })

  on('a new group begins with the first kept message, unless it is told otherwise', async (log) => {
    await log.append('c/a', items(4))
    const offsets = await offsetsOf(log, 'c/a')
    const begins: [ConsumeOptions['from'] | undefined, unknown[]][] = [
      [undefined, [1, 2, 3, 4, 5]],
      ['first', [1, 2, 3, 4, 5]],
      ['now', [5]],
      [{ after: offsets[1] as string }, [3, 4, 5]],
      [{ after: offsets[3] as string }, [5]],
    ]
    const consumers: TestConsumer[] = []
    for (const [index, [from]] of begins.entries()) {
      await log.join('c/a', `g${index}`, from)
      consumers.push(consumer(clock, log, 'c/a', `g${index}`))
    }
    await log.append('c/a', items(1, 5))
    for (const [index, [, wanted]] of begins.entries()) {
      const one = consumers[index] as TestConsumer
      assert.deepEqual(dataOf(await one.take(wanted.length)), wanted)
      await one.none()
      assert.equal((await figures(log, 'c/a', `g${index}`)).published, wanted.length)
      await one[Symbol.asyncDispose]()
    }
  })

  on('a new group may begin at a time of storing', async (log) => {
    await log.append('c/a', items(2))
    await clock.advance(20)
    const since = clock.wallMs()
    await clock.advance(5)
    await log.append('c/a', items(2, 3))
    await using one = consumer(clock, log, 'c/a', 'g', { from: { since } })
    await using all = consumer(clock, log, 'c/a', 'all', { from: { since: 0 } })
    await using none = consumer(clock, log, 'c/a', 'none', { from: { since: since + 3_600_000 } })
    assert.deepEqual(dataOf(await one.take(2)), [3, 4])
    assert.deepEqual(dataOf(await all.take(4)), [1, 2, 3, 4])
    await none.none()
    await log.append('c/a', items(1, 5))
    assert.equal((await none.next()).message.data, 5)
  })

  on('where it begins is of no account for a group that exists', async (log) => {
    await log.append('c/a', items(3))
    await log.join('c/a', 'g', 'first')
    await using one = consumer(clock, log, 'c/a', 'g', { from: 'now' })
    assert.deepEqual(dataOf(await one.take(3)), [1, 2, 3])
  })

  on('groups are independent of each other', async (log) => {
    await log.append('c/a', items(5))
    await using one = consumer(clock, log, 'c/a', 'one')
    await using two = consumer(clock, log, 'c/a', 'two')
    for (const delivery of await one.take(5)) await delivery.settle('acked')
    assert.deepEqual(dataOf(await two.take(5)), [1, 2, 3, 4, 5])
    assert.equal((await figures(log, 'c/a', 'two')).leased, 5)
    assert.equal((await figures(log, 'c/a', 'one')).acked, 5)
  })

  on('the consumers of a group compete: each entry goes to one of them', async (log) => {
    const consumers = Array.from({ length: 4 }, () => consumer(clock, log, 'c/a', 'g', { maxInFlight: 1 }))
    const seen: unknown[] = []
    const busy = new Set<number>()
    const done = Promise.withResolvers<undefined>()
    const working = consumers.map(async (one, index) => {
      while (seen.length < 200) {
        const delivery = await Promise.race([one.next(), done.promise])
        if (delivery === undefined) return
        seen.push(delivery.message.data)
        busy.add(index)
        if (seen.length >= 200) done.resolve(undefined)
        await delivery.settle('acked')
      }
    })
    for (let start = 1; start <= 200; start += 20) await log.append('c/a', items(20, start))
    await patiently(Promise.all(working), 'the end of the work')
    assert.deepEqual(
      (seen as number[]).toSorted((a, b) => a - b),
      dataOf(items(200)),
    )
    assert.equal(busy.size, 4)
    for (const one of consumers) await one[Symbol.asyncDispose]()
  })

  on('a consumer holds no more unsettled than it may, and goes on as soon as there is room', async (log) => {
    await log.append('c/a', items(10))
    await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 3 })
    const held = await one.take(3)
    await one.none()
    assert.deepEqual((await figures(log, 'c/a')).leased, 3)
    await held[1]?.settle('acked')
    assert.equal((await one.next()).message.data, 4)
    await held[0]?.nack({ delayMs: 60_000 })
    assert.equal((await one.next()).message.data, 5)
    await held[2]?.settle('dead', { stream: 'c/dead' })
    assert.equal((await one.next()).message.data, 6)
    await one.none()
  })

  on('what is kept with the consumer for a later retry counts as held', async (log) => {
    await log.append('c/a', items(3))
    await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 1 })
    const first = await one.next()
    await first.nack({ hold: true, delayMs: 10_000 })
    await one.none()
    await first.settle('acked')
    assert.equal((await one.next()).message.data, 2)
  })

  on('[C15] the end of a consumer gives back what it holds, at once and uncounted, oldest first', async (log) => {
    await log.append('c/a', items(6))
    await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 5 })
    const held = await one.take(5)
    await using two = consumer(clock, log, 'c/a')
    assert.equal((await two.next()).message.data, 6)
    await held[2]?.settle('acked')
    one.abort()
    const again = await two.take(4)
    assert.deepEqual(dataOf(again), [1, 2, 4, 5])
    assert.deepEqual(
      again.map(({ attempt }) => attempt),
      [1, 1, 1, 1],
    )
    assert.equal(await held[0]?.settle('acked'), false)
    await one.ended()
  })

  on('leaving the loop ends the consumer', async (log) => {
    await log.append('c/a', items(3))
    for await (const delivery of log.consume('c/a', 'g')) {
      assert.equal(delivery.message.data, 1)
      break
    }
    assert.equal((await figures(log, 'c/a')).leased, 0)
    await using two = consumer(clock, log, 'c/a')
    assert.deepEqual(dataOf(await two.take(3)), [1, 2, 3])
  })

  on('a signal that was aborted before ends the iteration without a delivery', async (log) => {
    await log.append('c/a', items(1))
    for await (const _ of log.consume('c/a', 'g', { signal: AbortSignal.abort() })) assert.fail('a delivery came')
    assert.equal((await figures(log, 'c/a')).pending, 1)
  })

  on('several calls of `next` at once get different entries, in order', async (log) => {
    const controller = new AbortController()
    const iterator = log.consume('c/a', 'g', { signal: controller.signal })[Symbol.asyncIterator]()
    const asked = Array.from({ length: 5 }, () => iterator.next())
    await log.append('c/a', items(3))
    const first = await patiently(Promise.all(asked.slice(0, 3)), 'three deliveries')
    assert.deepEqual(dataOf(first.map(({ value }) => value)), [1, 2, 3])
    controller.abort()
    const rest = await patiently(Promise.all(asked.slice(3)), 'the end')
    assert.deepEqual(
      rest.map(({ done }) => done),
      [true, true],
    )
    assert.equal((await figures(log, 'c/a')).leased, 0)
  })

  on('a thousand consumers that come and go leave nothing behind', async (log) => {
    await log.append('c/a', items(50))
    for (let round = 0; round < 1_000; round++) {
      const controller = new AbortController()
      const iterator = log.consume('c/a', 'g', { signal: controller.signal, maxInFlight: 5 })[Symbol.asyncIterator]()
      const asked = Array.from({ length: round % 7 }, () => iterator.next())
      if (round % 3 === 0) await Promise.resolve()
      if (round % 50 === 0) await asked[0]
      if (round % 2 === 0) controller.abort()
      else await iterator.return?.()
      await Promise.all(asked.slice(0, 5))
    }
    const { pending, leased, delayed, published } = await figures(log, 'c/a')
    assert.deepEqual({ pending, leased, delayed, published }, { pending: 50, leased: 0, delayed: 0, published: 50 })
    await using one = consumer(clock, log, 'c/a')
    const taken = await one.take(50)
    assert.deepEqual(dataOf(taken), dataOf(items(50)))
    assert.ok(taken.every(({ attempt }) => attempt === 1))
  })

  on('a lagging consumer reads thousands of entries in order, while more are stored', async (log) => {
    for (let start = 1; start <= 6_000; start += 1_000) await log.append('c/a', items(1_000, start))
    await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 50 })
    const more: Promise<unknown>[] = []
    for (let next = 1; next <= 7_000; next++) {
      const delivery = await one.next()
      assert.equal(delivery.message.data, next)
      if (next % 10 === 0) await delivery.settle('acked')
      else void delivery.settle('acked')
      if (next % 600 === 0 && more.length < 10) more.push(log.append('c/a', items(100, 6_001 + more.length * 100)))
    }
    await Promise.all(more)
    assert.equal((await figures(log, 'c/a')).acked >= 6_990, true)
  })

  on('the end of the log ends its consumers', async (log) => {
    await using one = consumer(clock, log, 'c/a')
    await one.none(5)
    const [, closing] = [one.ended(), log[Symbol.asyncDispose]()]
    await closing
    await one.ended()
  })

  on('options of a consumer that are wrong are refused by name', async (log) => {
    const wrong: object[] = [
      { maxInFlight: 0 },
      { maxInFlight: 1.5 },
      { ackWaitMs: 0 },
      { ackWaitMs: Number.POSITIVE_INFINITY },
      { from: 'last' },
      { from: { after: 'x' } },
      { from: {} },
      { from: { after: '1', since: 1 } },
      { signal: 1 },
      { maxInflight: 1 },
    ]
    for (const options of wrong)
      await refuses('INVALID_OPTION', () => log.consume('c/a', 'g', options as ConsumeOptions))
    assert.deepEqual(await log.groups(), [])
  })
}
