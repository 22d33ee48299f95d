import assert from 'node:assert/strict'
import type { HoldOptions, Lease, Leases } from '../lease.ts'
import { assertEnded, type Between, get, LONG_MS, rejects, SHORT_MS } from './place.ts'

/** A hold, and whether it has ended its wait. */
function waiting(leases: Leases, name: string, options: HoldOptions = { ttlMs: LONG_MS }) {
  const state = { settled: false }
  const lease = leases.hold(name, options)
  lease.then(
    () => {
      state.settled = true
    },
    () => {
      state.settled = true
    },
  )
  return { lease, state }
}

/** Waiting for a name, and keeping it. */
export function waitCases(between: Between): void {
  between('a free name is held without waiting', async (one, two) => {
    const lease = await one.hold('jobs', { ttlMs: LONG_MS })
    assert.equal(await two.owner('jobs'), lease.token)
    assert.ok(lease.leftMs > 0 && lease.leftMs <= LONG_MS)
  })

  between('who waits gets the name when it is released, not before', async (one, two, place) => {
    const lease = await get(one, 'jobs')
    const { lease: next, state } = waiting(two, 'jobs')
    await place.pass(SHORT_MS)
    assert.equal(state.settled, false)
    assert.equal(lease.signal.aborted, false)
    await lease.release()
    await place.pass(1)
    assert.ok((await next).token > lease.token)
    assert.equal(lease.signal.aborted, true)
  })

  between('who waits gets the name when its owner does not renew it', async (one, two, place) => {
    const lease = await get(one, 'jobs', SHORT_MS)
    const { lease: next } = waiting(two, 'jobs')
    await place.pass(SHORT_MS * 2)
    assert.ok((await next).token > lease.token)
    await assertEnded(lease)
  })

  between('who waits gets the name when the leases of its owner end', async (one, two, place) => {
    const lease = await get(one, 'jobs')
    const { lease: next } = waiting(two, 'jobs')
    await one[Symbol.asyncDispose]()
    await place.pass(1)
    assert.ok((await next).token > lease.token)
  })

  between('a holder may wait for its own name', async (one, _two, place) => {
    const lease = await get(one, 'jobs')
    const { lease: next } = waiting(one, 'jobs')
    await lease.release()
    await place.pass(1)
    assert.ok((await next).token > lease.token)
  })

  between('all who wait get the name, one at a time, with rising tokens', async (one, two, place) => {
    const three = await place.connect()
    const tokens: number[] = []
    let owners = 0
    let done = 0
    const turn = async (leases: Leases): Promise<void> => {
      const lease = await leases.hold('jobs', { ttlMs: LONG_MS })
      assert.equal(++owners, 1)
      tokens.push(lease.token)
      assert.equal(await one.owner('jobs'), lease.token)
      owners--
      assert.equal(await lease.release(), true)
      done++
    }
    const turns = Promise.all([one, two, three, one, two, three].map(turn))
    turns.catch(() => {
      done = 6
    })
    while (done < 6) await place.pass(20)
    await turns
    assert.equal(tokens.length, 6)
    assert.deepEqual(
      tokens,
      tokens.toSorted((a, b) => a - b),
    )
    assert.equal(new Set(tokens).size, 6)
  })

  between('a held lease is renewed beyond its time', async (one, two, place) => {
    const lease = await one.hold('jobs', { ttlMs: 3_000 })
    await place.pass(3_600)
    assert.equal(lease.signal.aborted, false)
    assert.ok(lease.leftMs > 0)
    assert.equal(await two.owner('jobs'), lease.token)
    assert.equal(await two.acquire('jobs', LONG_MS), undefined)
    assert.equal(await lease.release(), true)
    await get(two, 'jobs')
  })

  between('an acquired lease is not renewed by itself', async (one, two, place) => {
    const lease = await get(one, 'jobs', 300)
    await place.pass(250)
    await place.pass(250)
    await get(two, 'jobs')
    await assertEnded(lease)
  })

  between('a held lease that was released is not renewed any more', async (one, two, place) => {
    const lease = await one.hold('jobs', { ttlMs: 300 })
    await lease.release()
    const next = await get(two, 'jobs')
    await place.pass(500)
    assert.equal(await one.owner('jobs'), next.token)
    await assertEnded(lease)
  })

  between('a wait that is given up rejects with CANCELLED, and gets nothing', async (one, two, place) => {
    const lease = await get(one, 'jobs')
    const giving = new AbortController()
    const { lease: next } = waiting(two, 'jobs', { ttlMs: LONG_MS, signal: giving.signal })
    await place.pass(20)
    const why = new Error('no time')
    giving.abort(why)
    const error = await next.catch((thrown: unknown) => thrown)
    assert.equal((error as { code?: string }).code, 'CANCELLED')
    assert.equal((error as Error).cause, why)
    await lease.release()
    await place.pass(20)
    assert.equal(await one.owner('jobs'), undefined)
    await get(one, 'jobs')
  })

  between('a wait that was given up before it began takes nothing', async (one, two) => {
    await rejects(two.hold('jobs', { ttlMs: LONG_MS, signal: AbortSignal.abort() }), 'CANCELLED')
    assert.equal(await one.owner('jobs'), undefined)
  })

  between('a wait that was given up does not stop those behind it', async (one, two, place) => {
    const lease = await get(one, 'jobs')
    const giving = new AbortController()
    const { lease: first } = waiting(two, 'jobs', { ttlMs: LONG_MS, signal: giving.signal })
    const { lease: second } = waiting(two, 'jobs')
    await place.pass(20)
    giving.abort()
    await rejects(first, 'CANCELLED')
    await lease.release()
    await place.pass(1)
    assert.ok((await second).token > lease.token)
  })

  between('the signal of the wait says nothing about the lease', async (one, two) => {
    const giving = new AbortController()
    const lease: Lease = await one.hold('jobs', { ttlMs: LONG_MS, signal: giving.signal })
    giving.abort()
    assert.equal(lease.signal.aborted, false)
    assert.equal(await two.owner('jobs'), lease.token)
  })

  between('wrong options of a hold are refused', async (one) => {
    for (const options of [undefined, null, 5, {}, { ttlMs: 1_000, signal: {} }, { ttlMs: 1_000, ttl: 5 }]) {
      await rejects(one.hold('jobs', options as unknown as HoldOptions), 'INVALID_OPTION', JSON.stringify(options))
    }
    assert.equal(await one.owner('jobs'), undefined)
  })
}
