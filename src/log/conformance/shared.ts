import assert from 'node:assert/strict'
import type { Delivery, Entry, MessageLog } from '../log.ts'
import {
  all,
  consumer,
  dataOf,
  figures,
  firstOf,
  item,
  items,
  type LogHarness,
  offsetsOf,
  patiently,
  type Suite,
} from './harness.ts'
import { type Party, sessionRun } from './session-run.ts'

/** How soon another instance must have what it waits for: an interval of polling would be longer. */
const SOON_MS = 1_000

/** What a log promises that several processes use at once: every instance is the same log. */
export function sharedCases({ on, clock, harness }: Suite): void {
  const { another, abandon } = harness as Required<Pick<LogHarness, 'another' | 'abandon'>>

  /** A test with two instances. */
  const both = (title: string, run: (one: MessageLog, two: MessageLog) => Promise<void>): void =>
    on(title, async (log) => {
      await using two = await another(log)
      await run(log, two)
    })

  both('what one instance appends, a consumer of another gets at once, and the other way round', async (one, two) => {
    await using here = consumer(clock, one, 'c/a', 'here')
    await using there = consumer(clock, two, 'c/a', 'there')
    await Promise.all([here.none(), there.none(300)])
    for (const [number, log] of [one, two, one, two].entries()) {
      const before = clock.wallMs()
      const [appended] = await log.append('c/a', [item(number, { note: `${number}` }, { session: 's' })])
      for (const waiting of [here, there]) {
        const { message, offset, note, attempt } = await waiting.next()
        assert.deepEqual(
          [message.data, message.session, offset, note, attempt],
          [number, 's', appended?.offset, `${number}`, 1],
        )
      }
      assert.ok(clock.wallMs() - before < SOON_MS, `it took ${clock.wallMs() - before} ms`)
    }
  })

  both(
    '[I13] what is stored is read by all instances alike, and is there once the append is answered',
    async (one, two) => {
      await Promise.all([
        ...items(50).map((sent) => one.append('c/a', [sent])),
        ...items(50, 51).map((sent) => two.append('c/a', [sent])),
      ])
      const [read, other] = [await all(one.read('c/a')), await all(two.read('c/a'))]
      assert.deepEqual(read, other)
      assert.equal(new Set(dataOf(read)).size, 100)
      assert.equal(new Set(read.map((entry) => entry.type === 'entry' && entry.offset)).size, 100)
      assert.deepEqual(await one.streams(), await two.streams())
      for (let round = 0; round < 10; round++) {
        const [log, seer] = round % 2 === 0 ? [one, two] : [two, one]
        await log.append('c/b', items(1, round))
        assert.deepEqual(dataOf(await all(seer.read('c/b', { last: 1 }))), [round])
        assert.equal((await seer.streams('c')).find(({ stream }) => stream === 'c/b')?.count, round + 1)
      }
    },
  )

  both('[C15] the consumers of a group compete across instances: each entry goes to one of them', async (one, two) => {
    const consumers = [one, two, one, two].map((log) => consumer(clock, log, 'c/a', 'g', { maxInFlight: 2 }))
    const seen: unknown[] = []
    const busy = new Set<number>()
    const done = Promise.withResolvers<undefined>()
    const working = consumers.map(async (worker, index) => {
      for (;;) {
        await Promise.race([worker.came(), done.promise])
        if (seen.length >= 300) return
        const delivery = await worker.next()
        seen.push(delivery.message.data)
        busy.add(index % 2)
        if (seen.length >= 300) done.resolve(undefined)
        assert.equal(await delivery.settle('acked'), true)
      }
    })
    for (let start = 1; start <= 300; start += 20) await (start % 40 === 1 ? one : two).append('c/a', items(20, start))
    await patiently(Promise.all(working), 'the end of the work')
    assert.deepEqual(
      (seen as number[]).toSorted((a, b) => a - b),
      dataOf(items(300)),
    )
    assert.equal(busy.size, 2)
    assert.equal((await figures(two, 'c/a')).acked, 300)
    for (const worker of consumers) await worker[Symbol.asyncDispose]()
  })

  both('[I6] a session has one owner at a time among the consumers of all instances', async (one, two) => {
    const ofSession = (session: string, ...data: number[]) => data.map((number) => item(number, {}, { session }))
    await one.append('c/a', [...ofSession('s', 1, 2, 3), ...ofSession('t', 4, 5), item(6)])
    const here = consumer(clock, one, 'c/a', 'g', { maxInFlight: 1 })
    const first = await here.next()
    await using there = consumer(clock, two, 'c/a', 'g', { maxInFlight: 10 })
    assert.deepEqual(dataOf(await there.take(3)), [4, 5, 6])
    await two.append('c/a', [...ofSession('s', 7), item(8)])
    assert.equal((await there.next()).message.data, 8)
    await there.none()
    assert.equal(await first.settle('acked'), true)
    await here[Symbol.asyncDispose]()
    const before = clock.wallMs()
    assert.deepEqual(dataOf(await there.take(3)), [2, 3, 7])
    assert.ok(clock.wallMs() - before < SOON_MS)
  })

  both('[I15] a lease that ran out in one instance is void there once another has the entry', async (one, two) => {
    await one.append('c/a', items(2))
    await using here = consumer(clock, one, 'c/a', 'g', { maxInFlight: 2, ackWaitMs: 300 })
    const [stale, kept] = await here.take(2)
    assert.ok(stale && kept)
    assert.equal(await kept.extend(20_000), true)
    await using there = consumer(clock, two, 'c/a')
    await there.none(100)
    await clock.advance(300)
    // `here` has room again, and may be first.
    const owner = await firstOf([there, here])
    const fresh = await owner.next()
    assert.deepEqual([fresh.message.data, fresh.attempt], [1, 2])
    const before = await figures(two, 'c/a')
    const answers = [
      await stale.settle('acked'),
      await stale.settle('dead', { stream: 'c/dead' }),
      await stale.nack(),
      await stale.extend(),
    ]
    const after = await figures(one, 'c/a')
    assert.deepEqual(after, await figures(two, 'c/a'))
    assert.equal(after.stale, before.stale + answers.length)
    if (one.supports.fencing) {
      assert.deepEqual(answers, [false, false, false, false])
      assert.deepEqual(after, { ...before, stale: after.stale })
      assert.deepEqual(await all(two.read('c/dead')), [])
      assert.equal(await fresh.settle('acked'), true)
    }
    assert.equal(await kept.settle('acked'), true)
  })

  both('[I10] the figures of a group are the same in all instances after each step', async (one, two) => {
    const same = async (): Promise<number[]> => {
      const list = await one.groups()
      assert.deepEqual(await two.groups(), list)
      assert.deepEqual(await two.groups('c/a'), list)
      return list.flatMap(({ acked, dead, pending, leased, delayed }) => [acked, dead, pending, leased, delayed])
    }
    await one.join('c/a', 'g')
    assert.deepEqual(await same(), [0, 0, 0, 0, 0])
    await two.append('c/a', items(6))
    assert.deepEqual(await same(), [0, 0, 6, 0, 0])
    await using here = consumer(clock, one, 'c/a', 'g', { maxInFlight: 2 })
    const [first, second] = await here.take(2)
    assert.deepEqual(await same(), [0, 0, 4, 2, 0])
    await using there = consumer(clock, two, 'c/a', 'g', { maxInFlight: 4 })
    const [third, fourth] = await there.take(4)
    assert.deepEqual(await same(), [0, 0, 0, 6, 0])
    await first?.settle('acked')
    await third?.settle('dead', { stream: 'c/dead' })
    assert.deepEqual(await one.groups('c/dead'), [])
    assert.deepEqual(await same(), [1, 1, 0, 4, 0])
    await fourth?.nack({ delayMs: 60_000 })
    await second?.nack({ delayMs: 60_000, hold: true })
    assert.deepEqual(await same(), [1, 1, 0, 2, 2])
  })

  both(
    '[I5] [C22] a repeat of what another instance appended is stored once, also at the same moment',
    async (one, two) => {
      const sent = item('once')
      const [first] = await one.append('c/a', [sent, item(2, { key: 'order-1' })])
      assert.deepEqual(await two.append('c/b', [sent]), [{ ...first, duplicate: true }])
      assert.equal((await two.append('c/a', [item(3, { key: 'order-1' })]))[0]?.duplicate, true)
      const racing = items(40, 10)
      const answers = await Promise.all(
        racing.flatMap((racer) => [one.append('c/a', [racer]), two.append('c/a', [racer])]),
      )
      assert.equal(answers.flat().filter(({ duplicate }) => duplicate).length, 40)
      for (const racer of racing) {
        const offsets = answers.flat().filter(({ id }) => id === racer.message.id)
        assert.equal(new Set(offsets.map(({ offset }) => offset)).size, 1)
      }
      assert.equal((await all(two.read('c/a'))).length, 42)
    },
  )

  both('where a message lies that another instance appended can be found', async (one, two) => {
    const [appended] = await one.append('c/a', [item(1, { key: 'order' })])
    if (!one.supports.find) return
    assert.deepEqual(await two.find('c', 'order'), { stream: 'c/a', offset: appended?.offset })
    assert.equal(await two.find('c', 'nobody'), undefined)
  })

  both('a group that one instance makes is there for the other, and holds its place', async (one, two) => {
    await one.append('c/a', items(2))
    await one.join('c/a', 'g', 'now')
    await two.join('c/a', 'g', 'first')
    await two.append('c/a', items(1, 3))
    await using there = consumer(clock, two, 'c/a', 'g', { from: 'first' })
    assert.equal((await there.next()).message.data, 3)
    assert.equal((await figures(one, 'c/a')).published, 1)
  })

  both(
    'a group that one instance forgets is gone for the other: its consumers end, its leases are void',
    async (one, two) => {
      await one.append('c/a', items(3))
      await using here = consumer(clock, one, 'c/a', 'g', { maxInFlight: 3 })
      const [held] = await here.take(3)
      assert.equal(await two.leave('c/a', 'g'), true)
      assert.deepEqual(await one.groups(), [])
      await here.ended()
      assert.equal(await held?.settle('acked'), false)
      assert.equal(await one.leave('c/a', 'g'), false)
      await using again = consumer(clock, one, 'c/a')
      assert.deepEqual(dataOf(await again.take(3)), [1, 2, 3])
    },
  )

  both('what one instance removes is a gap in the other, and what any group has open stays', async (one, two) => {
    await one.append('c/a', items(6))
    const offsets = await offsetsOf(two, 'c/a')
    await using there = consumer(clock, two, 'c/a', 'g', { maxInFlight: 3 })
    const taken = await there.take(3)
    for (const delivery of taken.slice(0, 2)) await delivery.settle('acked')
    assert.equal(await one.trim('c/a', { maxCount: 0 }), 2)
    const [gap, ...rest] = await all(two.read('c/a'))
    assert.deepEqual(gap, { type: 'gap', stream: 'c/a', from: offsets[0], to: offsets[1], reason: 'trimmed' })
    assert.deepEqual(dataOf(rest as Entry[]), [3, 4, 5, 6])
    assert.deepEqual(await two.streams(), await one.streams())
    assert.equal(await taken[2]?.settle('acked'), true)
  })

  both(
    'what a consumer of one instance holds is not settled by its offset in another; what nobody holds is',
    async (one, two) => {
      await one.append('c/a', items(3))
      const offsets = (await offsetsOf(two, 'c/a')) as [string, string, string]
      await using here = consumer(clock, one, 'c/a', 'g', { maxInFlight: 1 })
      const first = await here.next()
      assert.equal(await two.settle('c/a', 'g', offsets[0], 'expired'), false)
      const tries = [one, two, one, two].map((log) => log.settle('c/a', 'g', offsets[1], 'dead', { stream: 'c/dead' }))
      assert.equal((await Promise.all(tries)).filter(Boolean).length, 1)
      assert.equal((await all(one.read('c/dead'))).length, 1)
      assert.equal(await first.settle('acked'), true)
      assert.equal((await here.next()).message.data, 3)
    },
  )

  both('[I10] a dead letter of one instance is read and consumed in the other', async (one, two) => {
    const sent = item({ deep: [1, new Date(5)] }, {}, { session: 's', headers: { a: 'b' } })
    await one.append('c/a', [sent])
    await using here = consumer(clock, one, 'c/a')
    await using graveyard = consumer(clock, two, 'c/dead', 'keeper')
    await graveyard.none()
    assert.equal(await (await here.next()).settle('dead', { stream: 'c/dead', note: '{"error":"x"}' }), true)
    const [letter] = (await all(two.read('c/dead'))) as Entry[]
    assert.deepEqual({ ...letter?.message }, { ...sent.message })
    const { message, note, stream } = await graveyard.next()
    assert.deepEqual([message.id, note, stream], [sent.message.id, '{"error":"x"}', 'c/dead'])
  })

  both(
    'what one instance gives back, with a delay or without, the other gets with its attempt and note',
    async (one, two) => {
      await one.append('c/a', [item(1), item(2), item(3, { delayMs: 300 })])
      const here = consumer(clock, one, 'c/a', 'g', { maxInFlight: 2 })
      const [first, second] = await here.take(2)
      assert.equal(await first?.nack({ delayMs: 200, note: 'tried' }), true)
      assert.equal(await second?.nack({ count: false }), true)
      await here[Symbol.asyncDispose]()
      await using there = consumer(clock, two, 'c/a')
      assert.deepEqual(triple(await there.next()), [2, 1, undefined])
      await clock.advance(400)
      const late = (await there.take(2)).map(triple)
      assert.deepEqual(late.toSorted(), [
        [1, 2, 'tried'],
        [3, 1, undefined],
      ])
    },
  )

  both(
    '[I13] a reader that follows in one instance sees the appends of both, without hole or duplicate',
    async (one, two) => {
      const controller = new AbortController()
      const seen: Entry[] = []
      const following = (async () => {
        for await (const entry of two.read('c/a', { follow: true, signal: controller.signal })) {
          if (entry.type === 'entry') seen.push(entry)
          if (seen.length === 400) controller.abort()
        }
      })()
      for (let start = 1; start <= 400; start += 10) {
        const appended = (start % 20 === 1 ? one : two).append('c/a', items(10, start))
        if (start % 40 === 1) await appended
      }
      await patiently(following, 'the last entry')
      assert.deepEqual(seen, await all(one.read('c/a')))
      assert.equal(new Set(dataOf(seen)).size, 400)
    },
  )

  on(
    '[I12] the end of an instance gives back what its consumers held, uncounted, and the others go on',
    async (log) => {
      const two = await another(log)
      await log.append('c/a', items(4))
      const there = consumer(clock, two, 'c/a', 'g', { maxInFlight: 3 })
      const held = await there.take(3)
      await using here = consumer(clock, log, 'c/a')
      assert.equal((await here.next()).message.data, 4)
      const before = clock.wallMs()
      await two[Symbol.asyncDispose]()
      await there.ended()
      const again = await here.take(3)
      assert.deepEqual(again.map(triple), [
        [1, 1, undefined],
        [2, 1, undefined],
        [3, 1, undefined],
      ])
      assert.ok(clock.wallMs() - before < SOON_MS)
      assert.equal(await held[0]?.settle('acked'), false)
      assert.equal(await again[0]?.settle('acked'), true)
      await log.append('c/a', items(1, 5))
      assert.equal((await here.next()).message.data, 5)
    },
  )

  on(
    '[I4] [I17] what a killed instance held comes again when its leases run out, and what had begun counts',
    async (log) => {
      const two = await another(log)
      const sent = [...items(3)].map(({ message }) => ({ message: { ...message, session: 's' } }))
      await log.append('c/a', sent)
      const there = consumer(clock, two, 'c/a', 'g', { maxInFlight: 3, ackWaitMs: 600 })
      const [first, second] = await there.take(3)
      assert.equal(await first?.settle('acked'), true)
      await second?.begin()
      await using here = consumer(clock, log, 'c/a', 'g', { maxInFlight: 3 })
      await here.none(50)
      await abandon(two)
      await clock.advance(650)
      const again = await here.take(2)
      assert.deepEqual(dataOf(again), [2, 3])
      assert.equal(again[0]?.attempt, 2)
      // Its lease ran out as well, unless it was known before that its holder is dead.
      assert.ok([1, 2].includes(again[1]?.attempt as number))
      for (const delivery of again) assert.equal(await delivery.settle('acked'), true)
      const { acked, pending, leased } = await figures(log, 'c/a')
      assert.deepEqual([acked, pending, leased], [3, 0, 0])
    },
  )

  for (const [nacks, seed] of [
    [false, 11],
    [true, 12],
    [true, 13],
  ] as const) {
    const what = nacks ? 'retries, ' : ''
    both(
      `[I6] [I10] random work in two instances with ${what}ends and leases that run out: one owner, and the ledger balances in both (seed ${seed})`,
      async (one, two) => {
        const of =
          (log: MessageLog): Party =>
          (options) =>
            consumer(clock, log, 'c/a', 'g', options)
        await sessionRun({ clock, logs: [one, two], parties: [of(one), of(two), of(two)], nacks, seed })
      },
    )
  }
}

function triple({ message, attempt, note }: Delivery): [unknown, number, string | undefined] {
  return [message.data, attempt, note]
}
