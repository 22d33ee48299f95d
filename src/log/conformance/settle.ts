import assert from 'node:assert/strict'
import type { Entry, Settled } from '../log.ts'
import { all, consumer, dataOf, figures, item, items, offsetsOf, refuses, type Suite } from './harness.ts'

const OUTCOMES: readonly Settled[] = ['acked', 'dead', 'expired', 'dropped', 'skipped']

/** What settlements promise, of deliveries and by offset. */
export function settleCases({ on, clock }: Suite): void {
  on('[I10] each way of settling is counted, and skipped entries were not meant for the group', async (log) => {
    await log.append('c/a', items(15))
    await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 12 })
    const taken = await one.take(12)
    for (const [index, delivery] of taken.entries()) {
      const as = OUTCOMES[index % 5] as Settled
      assert.equal(await delivery.settle(as), true)
    }
    // It may hold more by now, ahead of what it is asked for.
    await one[Symbol.asyncDispose]()
    const { acked, dead, expired, dropped, skipped, published, pending, leased, delayed } = await figures(log, 'c/a')
    assert.deepEqual([acked, dead, expired, dropped, skipped], [3, 3, 2, 2, 2])
    assert.deepEqual([published, pending, leased, delayed], [13, 3, 0, 0])
  })

  on('an entry is settled once', async (log) => {
    await log.append('c/a', items(1))
    await using one = consumer(clock, log, 'c/a')
    const delivery = await one.next()
    const answers = await Promise.all([
      delivery.settle('acked'),
      delivery.settle('dead'),
      delivery.nack(),
      delivery.extend(),
    ])
    assert.deepEqual(answers, [true, false, false, false])
    const { acked, dead, stale } = await figures(log, 'c/a')
    assert.deepEqual([acked, dead, stale], [1, 0, 3])
  })

  on('settlements in any order leave what is open open', async (log) => {
    await log.append('c/a', items(100))
    await using one = consumer(clock, log, 'c/a')
    const taken = await one.take(100)
    const open = new Set([13, 50, 77])
    await Promise.all(
      taken.toReversed().map(async (delivery) => open.has(delivery.message.data as number) || delivery.settle('acked')),
    )
    assert.deepEqual(dataOf(await all(log.read('c/a', { openFor: 'g' }))), [...open])
    one.abort()
    await using two = consumer(clock, log, 'c/a')
    assert.deepEqual(dataOf(await two.take(3)), [...open])
    await two.none()
  })

  on(
    '[I10] a dead letter lies in its stream once the settlement is answered: the same message, with the note',
    async (log) => {
      const sent = item({ deep: [1, new Date(5)] }, { note: 'own' }, { session: 's', headers: { a: 'b' } })
      await log.append('c/a', [sent])
      await using one = consumer(clock, log, 'c/a')
      const delivery = await one.next()
      assert.equal(await delivery.settle('dead', { stream: 'c/dead', note: '{"error":"x"}' }), true)
      const [letter, ...rest] = (await all(log.read('c/dead'))) as Entry[]
      assert.deepEqual(rest, [])
      assert.deepEqual({ ...letter?.message }, { ...sent.message })
      assert.equal(letter?.note, '{"error":"x"}')
      const { dead, leased, pending } = await figures(log, 'c/a')
      assert.deepEqual([dead, leased, pending], [1, 0, 0])
      await using graveyard = consumer(clock, log, 'c/dead', 'keeper')
      assert.equal((await graveyard.next()).message.id, sent.message.id)
    },
  )

  on('another message may go along, also to another channel', async (log) => {
    await log.append('c/a', items(2))
    await using one = consumer(clock, log, 'c/a')
    const [first, second] = await one.take(2)
    assert.ok(first && second)
    const { message } = item('reply')
    assert.equal(await first.settle('acked', { stream: 'd/replies', message }), true)
    assert.equal(await second.settle('skipped', { stream: 'c/elsewhere' }), true)
    const [reply] = (await all(log.read('d/replies'))) as Entry[]
    assert.deepEqual([reply?.message.id, reply?.message.data, reply?.note], [message.id, 'reply', undefined])
    assert.deepEqual(dataOf(await all(log.read('c/elsewhere'))), [2])
  })

  on('what goes along is never taken for a repeat', async (log) => {
    await log.append('c/a', items(1))
    for (const group of ['one', 'two', 'three']) {
      await using one = consumer(clock, log, 'c/a', group)
      assert.equal(await (await one.next()).settle('dead', { stream: 'c/dead', note: group }), true)
    }
    const letters = (await all(log.read('c/dead'))) as Entry[]
    assert.deepEqual(
      letters.map(({ note, message }) => [note, message.data]),
      [
        ['one', 1],
        ['two', 1],
        ['three', 1],
      ],
    )
  })

  on('a stale settlement stores nothing along', async (log) => {
    await log.append('c/a', items(1))
    await using one = consumer(clock, log, 'c/a')
    const delivery = await one.next()
    const answers = await Promise.all([
      delivery.settle('dead', { stream: 'c/dead' }),
      delivery.settle('dead', { stream: 'c/dead' }),
      delivery.settle('acked'),
    ])
    assert.deepEqual(answers, [true, false, false])
    assert.equal((await all(log.read('c/dead'))).length, 1)
  })

  on('an entry that nobody holds is settled by its offset, and is not handed out any more', async (log) => {
    await log.append('c/a', [...items(4), item(5, { delayMs: 60_000 })])
    const offsets = await offsetsOf(log, 'c/a')
    const settle = (index: number, as: Settled): Promise<boolean> =>
      log.settle('c/a', 'g', offsets[index] as string, as)
    // The group does not exist yet: it begins with the first entry.
    assert.equal(await settle(1, 'expired'), true)
    await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 2 })
    const [first, third] = await one.take(2)
    assert.deepEqual(dataOf([first, third] as never), [1, 3])
    assert.equal(await settle(3, 'dropped'), true)
    await third?.nack({ delayMs: 60_000 })
    assert.equal(await settle(2, 'skipped'), true)
    await one.none()
    assert.equal(await settle(4, 'dead'), true)
    assert.equal(await first?.settle('acked'), true)
    const { acked, dead, expired, dropped, skipped, pending, delayed, leased } = await figures(log, 'c/a')
    assert.deepEqual([acked, dead, expired, dropped, skipped, pending, delayed, leased], [1, 1, 1, 1, 1, 0, 0, 0])
  })

  on(
    'what is settled already, held by a consumer, or no entry of the group is not settled by its offset',
    async (log) => {
      await log.append('c/a', items(4))
      const offsets = (await offsetsOf(log, 'c/a')) as [string, string, string, string]
      const settle = (offset: string): Promise<boolean> => log.settle('c/a', 'g', offset, 'expired')
      await log.join('c/a', 'g', { after: offsets[0] })
      assert.equal(await settle(offsets[0]), false)
      await using one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 1 })
      const second = await one.next()
      assert.equal(await settle(offsets[1]), false)
      await second.settle('acked')
      assert.equal(await settle(offsets[1]), false)
      const third = await one.next()
      await third.nack({ hold: true, delayMs: 60_000 })
      assert.equal(await settle(offsets[2]), false)
      const [info] = await log.streams()
      assert.equal(await settle(info?.next as string), false)
      assert.equal(await settle(offsets[3]), true)
      assert.deepEqual(await Promise.all([settle(offsets[3]), settle(offsets[3])]), [false, false])
      const { published, expired, stale } = await figures(log, 'c/a')
      assert.deepEqual([published, expired, stale], [3, 1, 0])
    },
  )

  on('of several who settle an entry by its offset at once, one does', async (log) => {
    await log.append('c/a', items(1))
    const [offset] = (await offsetsOf(log, 'c/a')) as [string]
    const tries = Array.from({ length: 5 }, () => log.settle('c/a', 'g', offset, 'dead', { stream: 'c/dead' }))
    assert.deepEqual((await Promise.all(tries)).toSorted(), [false, false, false, false, true])
    assert.equal((await all(log.read('c/dead'))).length, 1)
  })

  on(
    'an entry that is settled by its offset takes its dead letter along, the bytes copied as they are',
    async (log) => {
      const sent = item({ bytes: Uint8Array.of(1, 2, 3), big: 5n })
      await log.append('c/a', [sent, item(2)])
      const [offset] = (await offsetsOf(log, 'c/a')) as [string]
      assert.equal(await log.settle('c/a', 'g', offset, 'expired', { stream: 'c/dead', note: 'late' }), true)
      const [letter] = (await all(log.read('c/dead'))) as Entry[]
      assert.deepEqual({ ...letter?.message }, { ...sent.message })
      assert.equal(letter?.note, 'late')
      await using one = consumer(clock, log, 'c/a')
      assert.equal((await one.next()).message.data, 2)
    },
  )

  on('many entries settled by offset, from the middle, let the others come in order', async (log) => {
    await log.append('c/a', items(3_000))
    const offsets = await offsetsOf(log, 'c/a')
    const settled = await Promise.all(
      offsets.map(async (offset, index) => index % 3 === 0 || log.settle('c/a', 'g', offset, 'dropped')),
    )
    assert.ok(settled.every(Boolean))
    await using one = consumer(clock, log, 'c/a')
    const taken = await one.take(1_000)
    assert.deepEqual(
      dataOf(taken),
      Array.from({ length: 1_000 }, (_, index) => index * 3 + 1),
    )
    await Promise.all(taken.map((delivery) => delivery.settle('acked')))
    const { acked, dropped, pending } = await figures(log, 'c/a')
    assert.deepEqual([acked, dropped, pending], [1_000, 2_000, 0])
  })

  on('wrong arguments of a settlement by offset are refused by name', async (log) => {
    await log.append('c/a', items(1))
    for (const offset of ['', '-1', 'x', '1.5', 1, undefined, '99999999999999999999']) {
      await refuses('INVALID_OPTION', () => log.settle('c/a', 'g', offset as string, 'acked'))
    }
    await refuses('INVALID_OPTION', () => log.settle('c/a', 'g', '1', 'done' as 'acked'))
    await refuses('INVALID_OPTION', () => log.settle('c/a', 'g', '1', 'dead', { stream: '' }))
    await refuses('INVALID_OPTION', () => log.settle('c/a', '', '1', 'acked'))
  })
}
