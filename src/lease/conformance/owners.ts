import assert from 'node:assert/strict'
import { assertEnded, type Between, get, type LeasePlace, LONG_MS, rejects, SHORT_MS } from './place.ts'

/** Who owns a name, and for how long. */
export function ownerCases(between: Between, makePlace: () => Promise<LeasePlace>): void {
  between('a lease says its name, its token and the time that is left', async (one) => {
    const lease = await get(one, 'jobs')
    assert.equal(lease.name, 'jobs')
    assert.ok(Number.isSafeInteger(lease.token) && lease.token > 0)
    assert.ok(lease.leftMs > 0 && lease.leftMs <= LONG_MS)
    assert.equal(lease.signal.aborted, false)
    lease.signal.throwIfAborted()
    assert.equal(lease.signal.reason, undefined)
  })

  between('leases say their name and whether they are shared', async (one, two) => {
    assert.ok(one.name.length > 0)
    assert.equal(typeof one.shared, 'boolean')
    assert.deepEqual([two.name, two.shared], [one.name, one.shared])
  })

  between('a held name is given to nobody, not even to its holder', async (one, two) => {
    const lease = await get(one, 'jobs')
    assert.equal(await two.acquire('jobs', LONG_MS), undefined)
    assert.equal(await one.acquire('jobs', LONG_MS), undefined)
    assert.equal(lease.signal.aborted, false)
  })

  between('names that differ in anything are different names', async (one, two) => {
    const names = [
      'a',
      'A',
      'a ',
      ' a',
      'a\0',
      'a\0b',
      'é',
      'e\u0301',
      '🐝',
      'x'.repeat(255),
      'x'.repeat(256),
      'a.>',
      '%',
    ]
    const tokens = []
    for (const name of names) tokens.push((await get(one, name)).token)
    for (const [index, name] of names.entries()) {
      assert.equal(await two.acquire(name, LONG_MS), undefined, name)
      assert.equal(await two.owner(name), tokens[index], name)
    }
  })

  between('a released name is free at once', async (one, two) => {
    const lease = await get(one, 'jobs')
    assert.equal(await lease.release(), true)
    assert.ok((await get(two, 'jobs')).token > lease.token)
  })

  between('after its release a lease is over', async (one) => {
    const lease = await get(one, 'jobs')
    const { signal } = lease
    await lease.release()
    assert.throws(() => signal.throwIfAborted())
    await assertEnded(lease)
  })

  between('of two releases at once one is true', async (one) => {
    const lease = await get(one, 'jobs')
    assert.deepEqual((await Promise.all([lease.release(), lease.release()])).toSorted(), [false, true])
  })

  between('a lease ends with its block', async (one, two) => {
    let signal: AbortSignal
    {
      await using lease = await get(one, 'jobs')
      signal = lease.signal
    }
    assert.equal(signal.aborted, true)
    await get(two, 'jobs')
  })

  between('the token rises with every owner', async (one, two) => {
    let last = 0
    for (let round = 0; round < 20; round++) {
      const lease = await get(round % 2 === 0 ? one : two, 'jobs')
      assert.ok(lease.token > last)
      last = lease.token
      await lease.release()
    }
  })

  between('the owner is known to all by its token', async (one, two) => {
    assert.equal(await one.owner('jobs'), undefined)
    const lease = await get(one, 'jobs')
    assert.deepEqual([await one.owner('jobs'), await two.owner('jobs')], [lease.token, lease.token])
    assert.equal(await two.owner('other'), undefined)
    await lease.release()
    assert.deepEqual([await one.owner('jobs'), await two.owner('jobs')], [undefined, undefined])
  })

  between('of many who ask at once one gets it', async (one, two, place) => {
    const three = await place.connect()
    const askers = Array.from({ length: 20 }, () => [one, two, three]).flat()
    const got = (await Promise.all(askers.map((leases) => leases.acquire('jobs', LONG_MS)))).filter(
      (lease) => lease !== undefined,
    )
    assert.equal(got.length, 1)
    assert.equal(await three.owner('jobs'), got[0]?.token)
  })

  between('when its time is over a lease is lost, and the next owner has a higher token', async (one, two, place) => {
    const lease = await get(one, 'jobs', SHORT_MS)
    await place.pass(SHORT_MS * 2)
    assert.equal(await two.owner('jobs'), undefined)
    assert.ok((await get(two, 'jobs')).token > lease.token)
    await assertEnded(lease)
  })

  between('the signal of a lease that runs out is aborted without being asked', async (one, _two, place) => {
    const { signal } = await get(one, 'jobs', SHORT_MS)
    const told = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    await place.pass(SHORT_MS * 2)
    await told
    assert.equal(signal.aborted, true)
  })

  between('a lost lease can be had again, as another one', async (one, _two, place) => {
    const lost = await get(one, 'jobs', SHORT_MS)
    await place.pass(SHORT_MS * 2)
    const again = await get(one, 'jobs')
    await assertEnded(lost)
    assert.equal(again.signal.aborted, false)
    assert.equal(await one.owner('jobs'), again.token)
  })

  between('[I15] a stale token changes nothing', async (one, two, place) => {
    const stale = await get(one, 'jobs', SHORT_MS)
    await place.pass(SHORT_MS * 2)
    const fresh = await get(two, 'jobs')
    assert.deepEqual([await stale.renew(1), await stale.release(), await stale.renew(LONG_MS)], [false, false, false])
    await place.pass(SHORT_MS)
    assert.equal(await one.owner('jobs'), fresh.token)
    assert.equal(fresh.signal.aborted, false)
    assert.equal(await fresh.renew(), true)
  })

  between('a renewed lease outlives its first time', async (one, two, place) => {
    const lease = await get(one, 'jobs', 2_000)
    assert.equal(await lease.renew(LONG_MS), true)
    assert.ok(lease.leftMs > 2_000 && lease.leftMs <= LONG_MS)
    await place.pass(2_100)
    assert.equal(lease.signal.aborted, false)
    assert.equal(await two.acquire('jobs', LONG_MS), undefined)
    assert.equal(await two.owner('jobs'), lease.token)
  })

  between('a renewal without a time is one for the first time', async (one) => {
    const lease = await get(one, 'jobs', LONG_MS)
    assert.equal(await lease.renew(2 * LONG_MS), true)
    assert.ok(lease.leftMs > LONG_MS)
    assert.equal(await lease.renew(), true)
    assert.ok(lease.leftMs <= LONG_MS)
  })

  between('a renewal can shorten a lease, and the last one of several counts', async (one, two, place) => {
    const lease = await get(one, 'jobs')
    const renewals = await Promise.all([lease.renew(LONG_MS), lease.renew(LONG_MS), lease.renew(SHORT_MS)])
    assert.deepEqual(renewals.slice(0, 2), [true, true])
    await place.pass(SHORT_MS * 2)
    await get(two, 'jobs')
    await assertEnded(lease)
  })

  between('times may be huge or fractions', async (one, two) => {
    const lease = await get(one, 'jobs', Number.MAX_VALUE)
    assert.equal(await lease.renew(1e15 + 0.5), true)
    assert.equal(await two.owner('jobs'), lease.token)
    assert.equal((await get(one, 'other', 60_000.25)).signal.aborted, false)
  })

  between('two places share nothing', async (one) => {
    await using elsewhere = await makePlace()
    await get(one, 'jobs')
    await get(await elsewhere.connect(), 'jobs')
  })

  between('wrong names and times are refused', async (one) => {
    for (const name of ['', 'x'.repeat(257), '\ud800', undefined, null, 5, {}] as string[]) {
      await rejects(one.acquire(name, LONG_MS), 'INVALID_OPTION', String(name))
      await rejects(one.hold(name, { ttlMs: LONG_MS }), 'INVALID_OPTION', String(name))
      await rejects(one.owner(name), 'INVALID_OPTION', String(name))
    }
    const lease = await get(one, 'jobs')
    for (const ttlMs of [0, 0.5, -1, Number.NaN, Number.POSITIVE_INFINITY, '5', null, undefined] as number[]) {
      await rejects(one.acquire('other', ttlMs), 'INVALID_OPTION', String(ttlMs))
      await rejects(one.hold('other', { ttlMs }), 'INVALID_OPTION', String(ttlMs))
      if (ttlMs !== undefined) await rejects(lease.renew(ttlMs), 'INVALID_OPTION', String(ttlMs))
    }
    assert.equal(lease.signal.aborted, false)
    assert.equal(await one.owner('other'), undefined)
  })
}
