import assert from 'node:assert/strict'
import type { Item } from '../log.ts'
import { all, consumer, dataOf, figures, firstOf, item, items, offsetsOf, type Suite } from './harness.ts'
import { type Party, sessionRun } from './session-run.ts'

// A consumer may lease ahead of what it is asked for, up to its `maxInFlight`: so the tests take all of it, or do not care who is next.

/** Messages of one session, with the numbers from `from` on as their data. */
function ofSession(session: string, count: number, from: number = 1): Item[] {
  return Array.from({ length: count }, (_, index) => item(from + index, {}, { session }))
}

/** One owner of a session at a time among the consumers of a group. */
export function sessionCases({ on, clock }: Suite): void {
  on(
    '[I6] of a session whose entry is held others get nothing later, and all that is of other sessions or of none',
    async (log) => {
      await log.append('c/a', [...ofSession('s', 3), ...ofSession('t', 2, 4), ...items(2, 6)])
      await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 1 })
      const first = await one.next()
      assert.equal(first.message.data, 1)
      await using two = consumer(clock, log, 'c/a', 'g', { maxInFlight: 10 })
      assert.deepEqual(dataOf(await two.take(4)), [4, 5, 6, 7])
      await two.none()
      const { pending, leased, delayed } = await figures(log, 'c/a')
      assert.deepEqual({ pending, leased, delayed }, { pending: 2, leased: 5, delayed: 0 })
      await log.append('c/a', [...ofSession('s', 1, 8), ...ofSession('u', 1, 9)])
      assert.equal((await two.next()).message.data, 9)
      await two.none()
      assert.equal(await first.settle('acked'), true)
      one.abort()
      const rest = await two.take(3)
      assert.deepEqual(
        rest.map(({ message, attempt }) => [message.data, attempt]),
        [
          [2, 1],
          [3, 1],
          [8, 1],
        ],
      )
    },
  )

  on(
    '[I6] the settlement of an entry frees its session for whoever comes next, one entry after the other',
    async (log) => {
      await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 1 })
      await using two = consumer(clock, log, 'c/a', 'g', { maxInFlight: 1 })
      await Promise.all([one.none(5), two.none(5)])
      await log.append('c/a', ofSession('s', 12))
      for (let data = 1; data <= 12; data++) {
        const owner = await firstOf([one, two])
        const delivery = await owner.next()
        assert.deepEqual([delivery.message.data, delivery.attempt], [data, 1])
        if (data % 4 === 0) await (owner === one ? two : one).none()
        assert.equal(await delivery.settle(data % 3 === 0 ? 'dead' : 'acked', { stream: 'c/other' }), true)
      }
      await Promise.all([one.none(), two.none()])
    },
  )

  on('[I6] a nack frees the session for its own next attempt, which goes before what is later', async (log) => {
    await log.append('c/a', ofSession('s', 3))
    await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 1 })
    const first = await one.next()
    await using two = consumer(clock, log, 'c/a', 'g', { maxInFlight: 1 })
    await two.none()
    assert.equal(await first.nack(), true)
    for (const [data, attempt] of [
      [1, 2],
      [2, 1],
      [3, 1],
    ]) {
      const owner = await firstOf([one, two])
      const delivery = await owner.next()
      assert.deepEqual([delivery.message.data, delivery.attempt], [data, attempt])
      await (owner === one ? two : one).none()
      assert.equal(await delivery.settle('acked'), true)
    }
  })

  on('[I6] what waits for its time without being held keeps its session waiting for nobody', async (log) => {
    await log.append('c/a', [item('later', { delayMs: 400 }, { session: 's' }), ...ofSession('s', 2)])
    await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 1 })
    const first = await one.next()
    assert.equal(first.message.data, 1)
    await using two = consumer(clock, log, 'c/a', 'g', { maxInFlight: 1 })
    await two.none(50)
    assert.equal(await first.nack({ delayMs: 500 }), true)
    const owner = await firstOf([one, two])
    const second = await owner.next()
    assert.deepEqual([second.message.data, second.attempt], [2, 1])
    await (owner === one ? two : one).none(50)
    assert.equal(await second.settle('acked'), true)
    await clock.advance(600)
    const rest: unknown[] = []
    while (rest.length < 2) {
      const delivery = await (await firstOf([one, two])).next()
      rest.push([delivery.message.data, delivery.attempt])
      await delivery.settle('acked')
    }
    assert.deepEqual(rest.toSorted(), [
      [1, 2],
      ['later', 1],
    ])
  })

  on('[I6] what its consumer keeps for a retry keeps the session, too', async (log) => {
    await log.append('c/a', [...ofSession('s', 2), ...ofSession('t', 1, 3)])
    await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 1 })
    const first = await one.next()
    void first.begin()
    assert.equal(await first.nack({ hold: true, delayMs: 150 }), true)
    await using two = consumer(clock, log, 'c/a', 'g', { maxInFlight: 10 })
    assert.equal((await two.next()).message.data, 3)
    await two.none(200)
    const { pending, leased, delayed } = await figures(log, 'c/a')
    assert.deepEqual({ pending, leased, delayed }, { pending: 1, leased: 2, delayed: 0 })
    void first.begin()
    assert.equal(await first.settle('acked'), true)
    assert.equal((await (await firstOf([one, two])).next()).message.data, 2)
  })

  on('[I6] the end of a consumer gives its sessions back in their order, to the next', async (log) => {
    await log.append('c/a', [...ofSession('s', 3), ...ofSession('t', 2, 4), ...ofSession('s', 3, 6)])
    await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 5 })
    const held = await one.take(5)
    await using two = consumer(clock, log, 'c/a', 'g', { maxInFlight: 10 })
    await two.none()
    one.abort()
    const again = await two.take(8)
    assert.deepEqual(dataOf(again), [1, 2, 3, 4, 5, 6, 7, 8])
    assert.ok(again.every(({ attempt }) => attempt === 1))
    assert.equal(await held[0]?.settle('acked'), false)
  })

  on(
    '[I6] a lease that runs out takes the later leases of its session along, and they come again in order',
    async (log) => {
      await log.append('c/a', [...ofSession('s', 3), ...ofSession('t', 1, 4), ...ofSession('s', 1, 5)])
      await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 4, ackWaitMs: 400 })
      const [first, second, third, other] = await one.take(4)
      await using two = consumer(clock, log, 'c/a', 'g', { maxInFlight: 1 })
      await two.none(100)
      const extended = await Promise.all([second?.extend(20_000), third?.extend(20_000), other?.extend(20_000)])
      assert.deepEqual(extended, [true, true, true])
      await clock.advance(400)
      const seen: unknown[] = []
      while (seen.length < 4) {
        const delivery = await (await firstOf([two, one])).next()
        seen.push([delivery.message.data, delivery.attempt])
        if (log.supports.fencing) {
          const late = [first, second, third].map(async (stale) => stale?.extend())
          assert.deepEqual(await Promise.all(late), [false, false, false])
        }
        assert.equal(await delivery.settle('acked'), true)
      }
      assert.deepEqual(seen, [
        [1, 2],
        [2, 1],
        [3, 1],
        [5, 1],
      ])
      assert.equal(await other?.settle('acked'), true)
      assert.equal((await figures(log, 'c/a')).acked, 5)
    },
  )

  on('[I6] a lease that runs out behind one that is held comes back, but not to another consumer', async (log) => {
    await log.append('c/a', ofSession('s', 2))
    await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 2, ackWaitMs: 300 })
    const [first] = await one.take(2)
    assert.equal(await first?.extend(20_000), true)
    await using two = consumer(clock, log, 'c/a', 'g', { maxInFlight: 2 })
    await two.none(400)
    assert.equal(await first?.settle('acked'), true)
    const again = await (await firstOf([one, two])).next()
    assert.deepEqual([again.message.data, again.attempt], [2, 2])
  })

  on('[I6] many entries that wait for the owner of their session are in the way of nobody', async (log) => {
    await log.append('c/a', [...ofSession('s', 800), ...ofSession('t', 2, 801), ...items(1, 803)])
    await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 1 })
    const first = await one.next()
    await using two = consumer(clock, log, 'c/a', 'g')
    assert.deepEqual(dataOf(await two.take(3)), [801, 802, 803])
    await two.none()
    const { pending, leased } = await figures(log, 'c/a')
    assert.deepEqual({ pending, leased }, { pending: 799, leased: 4 })
    assert.equal(dataOf(await all(log.read('c/a', { openFor: 'g' }))).length, 803)
    assert.equal(await first.settle('acked'), true)
    one.abort()
    const rest = await two.take(799)
    assert.deepEqual(dataOf(rest), dataOf(items(799, 2)))
    await Promise.all(rest.map((delivery) => delivery.settle('acked')))
    await two.none()
    assert.equal((await figures(log, 'c/a')).acked, 800)
  })

  on(
    'what waits for the owner of its session can be settled by its offset, and is not handed out any more',
    async (log) => {
      await log.append('c/a', ofSession('s', 6))
      const offsets = await offsetsOf(log, 'c/a')
      await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 1 })
      const first = await one.next()
      await using two = consumer(clock, log, 'c/a', 'g', { maxInFlight: 1 })
      await two.none()
      const settle = (index: number): Promise<boolean> =>
        log.settle('c/a', 'g', offsets[index] as string, 'dead', index === 3 ? { stream: 'c/dead' } : undefined)
      assert.deepEqual([await settle(1), await settle(3), await settle(1)], [true, true, false])
      assert.equal(await first.settle('acked'), true)
      for (const data of [3, 5, 6]) {
        const delivery = await (await firstOf([one, two])).next()
        assert.equal(delivery.message.data, data)
        assert.equal(await delivery.settle('acked'), true)
      }
      const { acked, dead, pending } = await figures(log, 'c/a')
      assert.deepEqual([acked, dead, pending], [4, 2, 0])
    },
  )

  on('the consumers of another group own their sessions for themselves', async (log) => {
    await log.append('c/a', ofSession('s', 3))
    await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 1 })
    await one.next()
    await using two = consumer(clock, log, 'c/a', 'h', { maxInFlight: 3 })
    assert.deepEqual(dataOf(await two.take(3)), [1, 2, 3])
  })

  for (const [nacks, seed] of [
    [false, 1],
    [false, 2],
    [true, 3],
    [true, 4],
  ] as const) {
    const title = `[I6] three consumers, twenty sessions, ${nacks ? 'retries, ' : ''}ends and leases that run out: one owner at a time`
    on(`${title} (seed ${seed})`, async (log) => {
      const party: Party = (options) => consumer(clock, log, 'c/a', 'g', options)
      await sessionRun({ clock, logs: [log], parties: [party, party, party], nacks, seed })
    })
  }
}
