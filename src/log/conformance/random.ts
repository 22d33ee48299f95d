import assert from 'node:assert/strict'
import type { Delivery, MessageLog, Settled } from '../log.ts'
import { consumer, figures, item, type Suite, seeded } from './harness.ts'

const OUTCOMES: readonly Settled[] = ['acked', 'dead', 'expired', 'dropped', 'skipped']

/** What the test knows of its own. */
interface Account {
  appended: number
  skipped: number
  settled: number
}

async function balance(log: MessageLog, { appended, skipped, settled }: Account, held: number): Promise<void> {
  const info = await figures(log, 'c/a')
  const final = info.acked + info.dead + info.expired + info.dropped
  assert.equal(info.published, final + info.pending + info.leased + info.delayed, JSON.stringify(info))
  assert.deepEqual([info.published, info.skipped, final], [appended - skipped, skipped, settled - skipped])
  assert.ok(info.leased + info.delayed >= held)
}

/** The ledger after any operations. */
export function randomCases({ on, clock }: Suite): void {
  for (const seed of [1, 2, 3]) {
    on(
      `[I10] the ledger balances after each step of a random program, and all is handled in the end (seed ${seed})`,
      async (log) => {
        const below = seeded(seed)
        const account: Account = { appended: 0, skipped: 0, settled: 0 }
        await log.join('c/a', 'g')
        let one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 16 })
        let held: Delivery[] = []
        const seen = new Set<unknown>()
        const settle = async (delivery: Delivery): Promise<void> => {
          const as = OUTCOMES[below(5)] as Settled
          const along = below(2) === 0 ? undefined : { stream: 'c/dead', note: as }
          assert.equal(await delivery.settle(as, along), true)
          account.settled++
          if (as === 'skipped') account.skipped++
        }
        for (let step = 0; step < 150; step++) {
          const which = held.length === 0 ? undefined : below(held.length)
          const delivery = which === undefined ? undefined : held[which]
          const dice = below(10)
          if (dice < 3) {
            const count = below(5)
            await log.append(
              'c/a',
              Array.from({ length: count }, (_, index) =>
                item(account.appended + index, below(4) === 0 ? { delayMs: 20 } : {}),
              ),
            )
            account.appended += count
          } else if (dice < 6 && held.length < 16) {
            const { pending, leased } = await figures(log, 'c/a')
            // An entry that waits for its own time counts as pending until it is met: those are asked for at the end.
            if (pending > 8 || leased > held.length) {
              const next = await one.next()
              held.push(next)
              seen.add(next.message.data)
            }
          } else if (dice === 6 && delivery !== undefined && which !== undefined) {
            held.splice(which, 1)
            await settle(delivery)
          } else if (dice === 7 && delivery !== undefined && which !== undefined) {
            const hold = below(3) === 0
            if (!hold) held.splice(which, 1)
            assert.equal(await delivery.nack({ delayMs: below(2) * 30, hold, count: below(2) === 0 }), true)
          } else if (dice === 8 && below(4) === 0) {
            await one[Symbol.asyncDispose]()
            one = consumer(clock, log, 'c/a', 'g', { maxInFlight: 16 })
            held = []
          } else await clock.advance(5)
          await balance(log, account, held.length)
        }
        for (const delivery of held) await settle(delivery)
        await clock.advance(60)
        while (account.settled < account.appended) {
          const delivery = await one.next()
          seen.add(delivery.message.data)
          await settle(delivery)
        }
        await balance(log, account, 0)
        assert.equal((await figures(log, 'c/a')).pending, 0)
        await one.none()
        assert.equal(seen.size, account.appended)
        await one[Symbol.asyncDispose]()
      },
    )
  }
}
