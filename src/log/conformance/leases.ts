import assert from 'node:assert/strict'
import type { NackOptions } from '../log.ts'
import { consumer, dataOf, figures, firstOf, item, items, refuses, type Suite } from './harness.ts'

// A consumer may lease ahead of what it is asked for, up to its `maxInFlight`; and when a lease has run out, it may be the next again.

/** What a delivery promises: leases, retries, and waits that a consumer keeps. */
export function leaseCases({ on, clock }: Suite): void {
  on('[C15] [I4] a lease that runs out comes back as the next attempt', async (log) => {
    await log.append('c/a', items(2))
    await using one = consumer(clock, log, 'c/a', 'g', { ackWaitMs: 250, maxInFlight: 1 })
    await one.next()
    await using two = consumer(clock, log, 'c/a')
    assert.equal((await two.next()).message.data, 2)
    await two.none(100)
    await clock.advance(250)
    const again = await (await firstOf([two, one])).next()
    assert.deepEqual([again.message.data, again.attempt], [1, 2])
  })

  on('[I15] a stale lease settles nothing, and is counted', async (log) => {
    await log.append('c/a', items(1))
    await using one = consumer(clock, log, 'c/a', 'g', { ackWaitMs: 200 })
    const stale = await one.next()
    await using two = consumer(clock, log, 'c/a')
    await two.none(5)
    await clock.advance(300)
    const fresh = await (await firstOf([two, one])).next()
    const before = await figures(log, 'c/a')
    const answers = [
      await stale.settle('acked'),
      await stale.settle('dead', { stream: 'c/dead' }),
      await stale.nack(),
      await stale.nack({ hold: true, delayMs: 1_000 }),
      await stale.extend(),
    ]
    assert.equal(stale.begin(), undefined)
    const after = await figures(log, 'c/a')
    assert.equal(after.stale, before.stale + answers.length)
    if (log.supports.fencing) {
      assert.deepEqual(
        answers,
        answers.map(() => false),
      )
      assert.deepEqual(after, { ...before, stale: before.stale + answers.length })
      assert.deepEqual(await log.streams('c').then((all) => all.map(({ stream }) => stream)), ['c/a'])
      assert.equal(await fresh.settle('acked'), true)
    }
  })

  on(
    '[I15] the lease of the consumer that holds an entry now is the one that counts, also within one consumer',
    async (log) => {
      await log.append('c/a', items(1))
      await using one = consumer(clock, log, 'c/a')
      const first = await one.next()
      assert.equal(await first.nack(), true)
      const second = await one.next()
      assert.equal(await first.settle('acked'), !log.supports.fencing)
      if (log.supports.fencing) assert.equal(await second.settle('acked'), true)
    },
  )

  on('`extend` lets the lease run from now on, for the given time or for that of the consumer', async (log) => {
    await log.append('c/a', items(2))
    await using one = consumer(clock, log, 'c/a', 'g', { ackWaitMs: 400 })
    const [kept, lent] = await one.take(2)
    await clock.advance(200)
    assert.equal(await kept?.extend(), true)
    assert.equal(await lent?.extend(2_000), true)
    await clock.advance(300)
    assert.equal(await kept?.extend(1), true)
    await clock.advance(200)
    assert.equal(await kept?.settle('acked'), false)
    assert.equal(await lent?.settle('acked'), true)
  })

  on('what is given back comes next, before anything newer, as the next attempt', async (log) => {
    await log.append('c/a', items(5))
    await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 3 })
    const [first, second, third] = await one.take(3)
    assert.deepEqual(await Promise.all([third?.nack(), first?.nack()]), [true, true])
    await second?.settle('acked')
    const rest: unknown[] = []
    while (rest.length < 4) {
      const delivery = await one.next()
      rest.push([delivery.message.data, delivery.attempt])
      await delivery.settle('acked')
    }
    assert.deepEqual(rest, [
      [1, 2],
      [3, 2],
      [4, 1],
      [5, 1],
    ])
  })

  on('an attempt that does not count leaves the number as it was', async (log) => {
    await log.append('c/a', items(1))
    await using one = consumer(clock, log, 'c/a')
    for (const [count, attempt] of [
      [true, 1],
      [false, 2],
      [false, 2],
      [true, 2],
    ] as const) {
      const delivery = await one.next()
      assert.equal(delivery.attempt, attempt)
      await delivery.nack({ count })
    }
    assert.equal((await one.next()).attempt, 3)
  })

  on('a delay is waited for, and others go ahead meanwhile', async (log) => {
    await log.append('c/a', items(3))
    await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 1 })
    await (await one.next()).nack({ delayMs: 300 })
    for (const data of [2, 3]) {
      const delivery = await one.next()
      assert.equal(delivery.message.data, data)
      await delivery.settle('acked')
    }
    const { delayed, pending, leased } = await figures(log, 'c/a')
    assert.deepEqual({ delayed, pending, leased }, { delayed: 1, pending: 0, leased: 0 })
    await one.none(150)
    await clock.advance(200)
    const again = await one.next()
    assert.deepEqual([again.message.data, again.attempt, again.dueInMs], [1, 2, 0])
  })

  on('delays come back in the order of their ends', async (log) => {
    await log.append('c/a', items(4))
    await using one = consumer(clock, log, 'c/a')
    const taken = await one.take(4)
    await Promise.all([400, 200, 300, 100].map(async (delayMs, index) => taken[index]?.nack({ delayMs })))
    const seen: unknown[] = []
    for (let count = 0; count < 4; count++) {
      await clock.advance(100)
      seen.push((await one.next()).message.data)
    }
    assert.deepEqual(seen, [4, 2, 3, 1])
  })

  on('the note of a nack takes the place of the one before, at the next delivery of that group', async (log) => {
    await log.append('c/a', [item(1, { note: 'stored' })])
    await using one = consumer(clock, log, 'c/a')
    await using other = consumer(clock, log, 'c/a', 'other')
    const first = await one.next()
    assert.equal(first.note, 'stored')
    await first.nack()
    const second = await one.next()
    assert.equal(second.note, 'stored')
    await second.nack({ note: 'tried', count: false })
    const third = await one.next()
    assert.deepEqual([third.note, third.attempt], ['tried', 2])
    await third.nack({ note: '' })
    assert.equal((await one.next()).note, '')
    assert.equal((await other.next()).note, 'stored')
  })

  on('[I6] with `hold` the consumer keeps the delivery until its own retry, and nobody else gets it', async (log) => {
    await log.append('c/a', items(2))
    await using one = consumer(clock, log, 'c/a', 'g', { ackWaitMs: 5_000, maxInFlight: 1 })
    await using two = consumer(clock, log, 'c/a')
    const held = await one.next()
    assert.equal(held.begin(), undefined)
    assert.equal(await held.nack({ hold: true, delayMs: 200, note: 'first fault' }), true)
    assert.equal((await two.next()).message.data, 2)
    assert.deepEqual(await figures(log, 'c/a').then(({ leased, delayed }) => [leased, delayed]), [1, 1])
    await two.none(250)
    assert.deepEqual(await figures(log, 'c/a').then(({ leased, delayed }) => [leased, delayed]), [2, 0])
    void held.begin()
    assert.equal(await held.nack({ hold: true, delayMs: 60_000 }), true)
    void held.begin()
    assert.deepEqual(await figures(log, 'c/a').then(({ leased, delayed }) => [leased, delayed]), [2, 0])
    assert.equal(await held.settle('acked'), true)
    assert.equal((await figures(log, 'c/a')).acked, 1)
  })

  on(
    '[I6] when a consumer ends that keeps a delivery, the next gets it at once, first, with the rest of its wait',
    async (log) => {
      await log.append('c/a', items(5))
      await using one = consumer(clock, log, 'c/a')
      const [first, second, third] = await one.take(3)
      await first?.settle('acked')
      await second?.nack({ hold: true, delayMs: 10_000, note: 'fault' })
      await clock.advance(100)
      one.abort()
      await using two = consumer(clock, log, 'c/a')
      const again = await two.take(4)
      assert.deepEqual(dataOf(again), [2, 3, 4, 5])
      const [held] = again
      assert.ok(held && held.dueInMs > 5_000 && held.dueInMs <= 9_950, `dueInMs is ${held?.dueInMs}`)
      assert.deepEqual([held.attempt, held.note], [2, 'fault'])
      assert.deepEqual(
        again.slice(1).map(({ dueInMs, attempt }) => [dueInMs, attempt]),
        [
          [0, 1],
          [0, 1],
          [0, 1],
        ],
      )
      assert.equal(await third?.settle('acked'), false)
      assert.equal(await held.settle('acked'), true)
    },
  )

  on('the lease of a delivery that is kept lasts for its wait and the time of the consumer behind it', async (log) => {
    await log.append('c/a', items(1))
    await using one = consumer(clock, log, 'c/a', 'g', { ackWaitMs: 300 })
    const held = await one.next()
    await held.nack({ hold: true, delayMs: 400 })
    await using two = consumer(clock, log, 'c/a')
    await two.none(550)
    await clock.advance(250)
    const again = await (await firstOf([two, one])).next()
    assert.deepEqual([again.message.data, again.attempt, again.dueInMs], [1, 3, 0])
    assert.equal(await held.settle('acked'), false)
  })

  on('`begin` alone changes no attempt, and needs no waiting where nobody has died', async (log) => {
    await log.append('c/a', items(1))
    for (let round = 0; round < 3; round++) {
      await using one = consumer(clock, log, 'c/a')
      const delivery = await one.next()
      assert.equal(delivery.begin(), undefined)
      assert.deepEqual([delivery.attempt, delivery.suspect], [1, false])
    }
  })

  on('wrong options of a delivery are refused by name, and change nothing', async (log) => {
    await log.append('c/a', items(1))
    await using one = consumer(clock, log, 'c/a')
    const delivery = await one.next()
    const wrong: object[] = [
      { delayMs: -1 },
      { delayMs: '1' },
      { note: 1 },
      { count: 1 },
      { hold: 'yes' },
      { delay: 1 },
    ]
    for (const options of wrong) await refuses('INVALID_OPTION', () => delivery.nack(options as NackOptions))
    for (const ms of [0, -1, Number.NaN, '1']) await refuses('INVALID_OPTION', () => delivery.extend(ms as number))
    for (const as of ['done', '', undefined, 'toString'])
      await refuses('INVALID_OPTION', () => delivery.settle(as as 'acked'))
    for (const along of [{}, { stream: '' }, { stream: 'c/dead', note: 1 }, { stream: 'c/dead', more: 1 }]) {
      await refuses('INVALID_OPTION', () => delivery.settle('dead', along as { stream: string }))
    }
    assert.equal((await figures(log, 'c/a')).leased, 1)
    assert.equal(await delivery.settle('acked'), true)
  })
}
