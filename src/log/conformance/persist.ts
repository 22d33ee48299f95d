import assert from 'node:assert/strict'
import { systemEnv } from '../../kit/env.ts'
import type { Entry, MessageLog } from '../log.ts'
import { all, consumer, dataOf, figures, item, items, type LogHarness, offsetsOf, type Suite } from './harness.ts'

/** As long as a killed consumer keeps what it holds, where others cannot know that it is dead. */
const ACK_WAIT_MS = 1_000

/**
 * What a persistent log promises across its end and its crash. Whoever opens a log that is his alone knows that its former holders are
 * dead: what they held comes at once, and first. A log that several processes use waits for the leases of one that was killed, which
 * then count as attempts; nothing else is different.
 */
export function persistCases({ on, clock, harness }: Suite): void {
  const { reopen, crash, another } = harness as LogHarness & Required<Pick<LogHarness, 'reopen' | 'crash'>>
  const shared = another !== undefined
  for (const [how, again] of [
    ['the end', reopen],
    ['a crash', crash],
  ] as const) {
    /** What was held comes when its leases have run out, behind what nobody held. */
    const late = shared && again === crash
    const inTurn = <T>(list: readonly T[], by: (one: T) => number): readonly T[] =>
      late ? list.toSorted((a, b) => by(a) - by(b)) : list

    on(`after ${how} of the process all that was answered is there`, async (log) => {
      await log.append('c/a', [item('x', { note: 'n' }, { session: 's' }), ...items(20)])
      await log.append('d/b', items(2))
      const before = [await all(log.read('c/a')), await log.streams()]
      await using after = await again(log)
      assert.deepEqual([await all(after.read('c/a')), await after.streams()], before)
      const [appended] = await after.append('c/a', items(1, 21))
      assert.deepEqual(dataOf(await all(after.read('c/a'))), ['x', ...dataOf(items(21))])
      assert.equal((await offsetsOf(after, 'c/a')).at(-1), appended?.offset)
    })

    on(`[CN1] of 500 messages of which 10 were handled, the other 490 come after ${how}`, async (log) => {
      await log.append('c/a', items(500))
      const one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 50, ...(late && { ackWaitMs: ACK_WAIT_MS }) })
      for (const delivery of await one.take(10)) await delivery.settle('acked')
      await one.take(40)
      await using after = await again(log)
      await using two = consumer(clock, after, 'c/a')
      const rest = dataOf(await two.take(490)) as number[]
      assert.deepEqual(inTurn(rest, Number), dataOf(items(490, 11)))
      await two.none()
      assert.deepEqual(
        await figures(after, 'c/a').then(({ acked, leased, published }) => [acked, leased, published]),
        [10, 490, 500],
      )
    })

    on(`[I5] a repeat is known after ${how}`, async (log) => {
      const sent = item(1)
      const [first] = await log.append('c/a', [sent, item(2, { key: 'k' })])
      await using after = await again(log)
      assert.deepEqual(await after.append('c/b', [sent]), [{ ...first, duplicate: true }])
      assert.equal((await after.append('c/b', [item(3, { key: 'k' })]))[0]?.duplicate, true)
      assert.deepEqual(await after.find('c', sent.message.id), { stream: 'c/a', offset: first?.offset })
    })

    on(`settlements in any order, attempts, notes and counts are there after ${how}`, async (log) => {
      await log.append('c/a', items(12))
      const one = consumer(clock, log, 'c/a', 'g', late ? { ackWaitMs: ACK_WAIT_MS } : {})
      const taken = await one.take(12)
      await Promise.all([
        ...[0, 1, 4, 7, 9].map((index) => taken[index]?.settle('acked')),
        taken[2]?.settle('dead', { stream: 'c/dead', note: 'why' }),
        taken[3]?.settle('skipped'),
        taken[5]?.nack({ note: 'tried', delayMs: 1 }),
        log.join('c/a', 'other', 'now'),
        log.join('c/a', 'gone').then(() => log.leave('c/a', 'gone')),
      ])
      const before = await figures(log, 'c/a')
      await using after = await again(log)
      const { acked, dead, skipped, published } = await figures(after, 'c/a')
      assert.deepEqual([acked, dead, skipped, published], [before.acked, before.dead, before.skipped, before.published])
      assert.deepEqual(dataOf(await all(after.read('c/a', { openFor: 'g' }))), [6, 7, 9, 11, 12])
      assert.deepEqual(
        ((await all(after.read('c/dead'))) as Entry[]).map(({ note, message }) => [note, message.data]),
        [['why', 3]],
      )
      assert.deepEqual(
        (await after.groups()).map(({ group, pending, delayed, leased }) => [
          group,
          pending + delayed + (late ? leased : 0),
        ]),
        [
          ['g', 5],
          ['other', 0],
        ],
      )
      await clock.advance(5)
      await using two = consumer(clock, after, 'c/a')
      const rest = await two.take(5)
      assert.deepEqual(
        rest.map(({ message, attempt, note }) => [message.data, late && attempt === 2 ? 1 : attempt, note]),
        [
          [6, late ? 1 : 2, 'tried'],
          [7, 1, undefined],
          [9, 1, undefined],
          [11, 1, undefined],
          [12, 1, undefined],
        ],
      )
      assert.equal(rest[0]?.attempt, 2)
    })

    on(`delays go on after ${how}`, async (log) => {
      await log.append('c/a', [item('delayed', { delayMs: 700 }), item('nacked'), item('free')])
      const one = consumer(clock, log, 'c/a')
      await (await one.next()).nack({ delayMs: 500 })
      await one[Symbol.asyncDispose]()
      await using after = await again(log)
      await using two = consumer(clock, after, 'c/a')
      assert.equal((await two.next()).message.data, 'free')
      await two.none(50)
      await clock.advance(1_000)
      const late = (await two.take(2)).map(({ message, attempt }) => [message.data, attempt])
      assert.deepEqual(late.toSorted(), [
        ['delayed', 1],
        ['nacked', 2],
      ])
    })

    on(
      `[I6] what a consumer kept for a retry comes first after ${how}, at once, with the rest of its wait`,
      async (log) => {
        await log.append('c/a', items(4))
        const waitMs = late ? 1_500 : 50_000
        const one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 3, ...(late && { ackWaitMs: ACK_WAIT_MS }) })
        const [first, second] = await one.take(3)
        assert.equal(await second?.nack({ hold: true, delayMs: waitMs, note: 'fault' }), true)
        assert.equal(await first?.settle('acked'), true)
        await using after = await again(log)
        await using two = consumer(clock, after, 'c/a')
        const [held, ...rest] = inTurn(await two.take(3), ({ message }) => message.data as number)
        assert.deepEqual([held?.message.data, held?.note], [2, 'fault'])
        assert.ok(held && held.dueInMs <= waitMs, `dueInMs is ${held?.dueInMs}`)
        if (late) assert.ok(held.attempt === 3 || (held.attempt === 2 && held.dueInMs >= 0))
        else assert.deepEqual([held.attempt, held.dueInMs > 20_000], [2, true])
        assert.deepEqual(
          rest.map(({ message, dueInMs }) => [message.data, dueInMs]),
          [
            [3, 0],
            [4, 0],
          ],
        )
      },
    )

    on(`what retention removed stays removed after ${how}, and is said as a gap`, async (log) => {
      await log.append('c/a', items(10))
      const offsets = await offsetsOf(log, 'c/a')
      assert.equal(await log.trim('c/a', { maxCount: 4 }), 6)
      const before = await log.streams()
      await using after = await again(log)
      assert.deepEqual(await after.streams(), before)
      const [gap, ...rest] = await all(after.read('c/a'))
      assert.deepEqual(gap, { type: 'gap', stream: 'c/a', from: offsets[0], to: offsets[5], reason: 'trimmed' })
      assert.deepEqual(dataOf(rest as Entry[]), [7, 8, 9, 10])
    })
  }

  const die = async (log: MessageLog): Promise<MessageLog> => crash(log)

  on('[I17] each crash inside a handler is an attempt, however often it happens', async (log) => {
    // One session, one at a time: the poison is next whenever it is free, and nothing else is held.
    const options = { maxInFlight: 1, ...(shared && { ackWaitMs: ACK_WAIT_MS }) }
    await log.append(
      'c/a',
      [1, 2, 3].map((data) => item(data, {}, { session: 's' })),
    )
    const first = consumer(clock, log, 'c/a', 'g', options)
    const poison = await first.next()
    void poison.begin()
    // That the handler runs is known to the store with whatever is kept next.
    await log.append('c/b', items(1))
    let present = await die(log)
    for (let attempt = 2; attempt <= 5; attempt++) {
      const again = consumer(clock, present, 'c/a', 'g', options)
      const delivery = await again.next()
      assert.deepEqual([delivery.message.data, delivery.attempt], [1, attempt])
      const kept = delivery.begin()
      assert.equal(kept instanceof Promise, delivery.suspect)
      // Where a lease that ran out counts in any case, nobody needs to be suspect.
      assert.ok(delivery.suspect || shared)
      await kept
      present = await die(present)
    }
    await using last = present
    await using two = consumer(clock, last, 'c/a')
    assert.deepEqual(
      (await two.take(3)).map(({ message, attempt }) => [message.data, attempt]),
      [
        [1, 6],
        [2, 1],
        [3, 1],
      ],
    )
  })

  const alone = shared ? () => undefined : on
  alone(
    'after a crash the first hand-outs are suspect, as many as a consumer may hold, and no later ones',
    async (log: MessageLog) => {
      await log.append('c/a', items(10))
      await log.join('c/a', 'g')
      await using after = await die(log)
      await using two = consumer(clock, after, 'c/a', 'g', { maxInFlight: 3 })
      const taken = await two.take(3)
      for (const delivery of taken) {
        assert.ok(delivery.suspect)
        await delivery.begin()
        assert.equal(await delivery.settle('acked'), true)
      }
      const later = await two.next()
      assert.deepEqual([later.suspect, later.begin()], [false, undefined])
    },
  )

  on('after a clean end nobody is suspect, and what was given back counts no attempt', async (log) => {
    await log.append('c/a', items(2))
    const one = consumer(clock, log, 'c/a')
    for (const delivery of await one.take(2)) void delivery.begin()
    await using after = await reopen(log)
    await using two = consumer(clock, after, 'c/a')
    assert.deepEqual(
      (await two.take(2)).map(({ attempt, suspect }) => [attempt, suspect]),
      [
        [1, false],
        [1, false],
      ],
    )
  })

  on('[I10] a crash at any moment leaves each message settled with its dead letter, or neither', async (log) => {
    let present = log
    let round = 0
    await present.append('c/a', items(60))
    await present.join('c/a', 'g')
    for (; round < 6; round++) {
      const options = { maxInFlight: 20, ...(shared && { ackWaitMs: ACK_WAIT_MS }) }
      const one = consumer(clock, present, 'c/a', 'g', options)
      for (const delivery of await one.take(8))
        void delivery.settle('dead', { stream: 'c/dead' }).catch(() => undefined)
      // Some of the commits have happened, some have not.
      for (let turn = 0; turn < round * 2; turn++) await Promise.resolve()
      if (round > 3) await clock.advance(round - 3)
      present = await die(present)
      // What was on its way to a server may arrive there after its sender's death.
      if (shared) await clock.advance(50)
      const letters = dataOf(await all(present.read('c/dead')))
      const { dead } = await figures(present, 'c/a')
      assert.equal(letters.length, dead)
      assert.equal(new Set(letters).size, dead)
      const open = dataOf(await all(present.read('c/a', { openFor: 'g' })))
      assert.deepEqual(
        [...letters, ...open].toSorted((a, b) => Number(a) - Number(b)),
        dataOf(items(60)),
      )
    }
    await present[Symbol.asyncDispose]()
  })

  on('[I9] a backlog of a hundred megabytes does not lie in memory', async (log) => {
    const text = 'x'.repeat(100_000)
    for (let start = 0; start < 1_000; start += 20) {
      await log.append(
        'c/a',
        Array.from({ length: 20 }, (_, index) => item({ number: start + index, text: text + start + index })),
      )
    }
    // Buffers are freed beside the program, after the collection that found them dead: the least of several looks counts.
    const heap = async (): Promise<number> => {
      let least = Number.POSITIVE_INFINITY
      for (let look = 0; look < 5; look++) {
        ;(globalThis as { gc?: () => void }).gc?.()
        const { heapUsed, external } = process.memoryUsage()
        least = Math.min(least, heapUsed + external)
        await new Promise<void>((resolve) => systemEnv().nextTurn(resolve))
      }
      return least
    }
    await using after = await reopen(log)
    const before = await heap()
    await using one = consumer(clock, after, 'c/a', 'g', { maxInFlight: 20 })
    let most = 0
    for (let next = 0; next < 1_000; next++) {
      const delivery = await one.next()
      assert.equal((delivery.message.data as { number: number }).number, next)
      await delivery.settle('acked')
      if (next % 100 === 50) most = Math.max(most, (await heap()) - before)
    }
    assert.ok(most < 48_000_000, `${most} bytes more than before`)
  })
}
