import assert from 'node:assert/strict'
import { isBusError } from '../../kit/errors.ts'
import { assertEnded, type Between, get, LONG_MS, rejects } from './place.ts'

/** What disposal does, and what it leaves. */
export function endCases(between: Between): void {
  between('disposal releases all its leases, and only its own', async (one, two) => {
    const mine = [await get(one, 'a'), await get(one, 'b'), await one.hold('c', { ttlMs: LONG_MS })]
    const other = await get(two, 'd')
    const signals = mine.map(({ signal }) => signal)
    await one[Symbol.asyncDispose]()
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [true, true, true],
    )
    for (const lease of mine) assert.ok((await get(two, lease.name)).token > lease.token)
    assert.equal(await two.owner('d'), other.token)
    assert.equal(other.signal.aborted, false)
  })

  between('a lease of leases that ended is over', async (one) => {
    const lease = await get(one, 'jobs')
    await one[Symbol.asyncDispose]()
    await assertEnded(lease)
    await lease[Symbol.asyncDispose]()
  })

  between('after disposal everything is refused, and disposal may be called twice', async (one) => {
    await Promise.all([one[Symbol.asyncDispose](), one[Symbol.asyncDispose]()])
    await one[Symbol.asyncDispose]()
    await rejects(one.acquire('jobs', LONG_MS), 'BUS_CLOSED')
    await rejects(one.hold('jobs', { ttlMs: LONG_MS }), 'BUS_CLOSED')
    await rejects(one.owner('jobs'), 'BUS_CLOSED')
  })

  between('disposal ends waits with BUS_CLOSED', async (one, two, place) => {
    const lease = await get(one, 'jobs')
    const waits = [two.hold('jobs', { ttlMs: LONG_MS }), two.hold('jobs', { ttlMs: LONG_MS })]
    const ended = Promise.all(waits.map((wait) => rejects(wait, 'BUS_CLOSED')))
    await place.pass(20)
    await two[Symbol.asyncDispose]()
    await ended
    await lease.release()
    assert.equal(await one.owner('jobs'), undefined)
  })

  between('what is under way when the leases end leaves nothing held', async (one, two) => {
    const asked = [one.acquire('a', LONG_MS), one.hold('b', { ttlMs: LONG_MS }), one.acquire('c', LONG_MS)]
    const settled = Promise.allSettled(asked)
    await one[Symbol.asyncDispose]()
    for (const outcome of await settled) {
      if (outcome.status === 'rejected') assert.ok(isBusError(outcome.reason, 'BUS_CLOSED'))
      else assert.equal(outcome.value?.signal.aborted, true)
    }
    for (const name of ['a', 'b', 'c']) await get(two, name)
  })

  between('a renewal under way when the leases end leaves nothing held', async (one, two) => {
    const lease = await get(one, 'jobs')
    const renewal = lease.renew()
    await one[Symbol.asyncDispose]()
    await renewal
    assert.equal(lease.signal.aborted, true)
    await get(two, 'jobs')
  })

  between('who asks again while the leases end is refused', async (one) => {
    const lease = await get(one, 'jobs')
    const again: Promise<unknown>[] = []
    lease.signal.addEventListener('abort', () => {
      again.push(rejects(one.acquire('jobs', LONG_MS), 'BUS_CLOSED'))
      again.push(rejects(one.hold('jobs', { ttlMs: LONG_MS }), 'BUS_CLOSED'))
    })
    await one[Symbol.asyncDispose]()
    await Promise.all(again)
    assert.equal(again.length, 2)
  })

  between('tokens go on rising after all have left', async (one, two, place) => {
    const { token } = await get(one, 'jobs')
    await one[Symbol.asyncDispose]()
    await two[Symbol.asyncDispose]()
    const later = await place.connect()
    assert.equal(await later.owner('jobs'), undefined)
    assert.ok((await get(later, 'jobs')).token > token)
  })
}
