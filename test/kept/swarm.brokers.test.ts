import { describe, expect, test } from 'vitest'
import { type Bus, isBusError, type Message, type OpenOptions, PRIORITIES } from '../../src/index.ts'
import { BROKERS, type SharedStore } from './brokers.ts'
import { ledgerOf, until } from './support.ts'

const FAST = { attempts: 3, firstDelayMs: 5, factor: 1, jitter: 'none' } as const
const numbers = (count: number, from = 0): number[] => Array.from({ length: count }, (_, n) => from + n)

/** As many processes of one swarm, each with its own connections. */
async function swarm(store: SharedStore, count: number, options: OpenOptions = {}): Promise<Bus[]> {
  return Promise.all(numbers(count).map((n) => store.open({ name: `p${n}`, ...options })))
}

async function closed(buses: readonly Bus[]): Promise<void> {
  await Promise.all(buses.map((bus) => bus.close()))
}

describe.each(BROKERS)('on $name', ({ make }) => {
  test('[I5] [C22] an id that three processes publish at once is stored once, and each of them is told the same place', async () => {
    await using store = make()
    const buses = await swarm(store, 3)
    const [bus] = buses as [Bus]
    const ids = numbers(50).map((n) => `00000000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`)
    const acks = await Promise.all(
      ids.map((id, n) =>
        Promise.all(buses.map((one) => one.publish('work.a', n, n % 2 === 0 ? { id } : { idempotencyKey: `k${n}` }))),
      ),
    )
    for (const same of acks) {
      expect(same.filter((one) => !one.duplicate)).toHaveLength(1)
      expect(new Set(same.map((one) => `${one.id} ${one.offset}`)).size).toBe(1)
    }
    const kept: unknown[] = []
    for await (const { data } of bus.replay('work.>')) kept.push(data)
    expect(kept.toSorted((a, b) => Number(a) - Number(b))).toEqual(numbers(50))
    // Also by a process that comes later.
    const late = await store.open()
    expect(await late.publish('work.a', 0, { id: ids[0] as string })).toMatchObject({ duplicate: true })
    await closed([...buses, late])
  })

  test('[I5] [W8] [WN2] the effect of an id happens once, in whichever process its repeats are handled', async () => {
    await using store = make()
    const buses = await swarm(store, 3, { channels: { once: { mode: 'exactly-once', retry: FAST } } })
    const effects: unknown[] = []
    const tries = new Map<unknown, number>()
    for (const bus of buses) {
      const handler = ({ data }: Message): void => {
        const nth = (tries.get(data) ?? 0) + 1
        tries.set(data, nth)
        if (nth === 1) throw new Error('the first try fails')
        effects.push(data)
      }
      bus.subscribe('once.*', handler, { group: 'g', concurrency: 1 })
    }
    for (const n of numbers(10)) {
      const id = `00000000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`
      // Each key makes another message of it for the log, the id does not for the mode.
      for (const [at, bus] of buses.entries()) {
        const ack = await bus.publish('once.a', n, { id, idempotencyKey: `${n} ${at}`, until: 'succeeded' })
        expect(ack.duplicate).toBe(false)
      }
    }
    expect(effects.toSorted((a, b) => Number(a) - Number(b))).toEqual(numbers(10))
    expect(await ledgerOf(buses[0] as Bus)).toMatchObject({ dead: 0, pending: 0, balance: 0 })
    await closed(buses)
  })

  test('[I8] [C5] [CN5] behind a backlog of 2 000 low messages, the 5 critical ones of another process are the next', async () => {
    await using store = make()
    const [here, there] = (await swarm(store, 2)) as [Bus, Bus]
    await Promise.all(numbers(2_000).map((n) => here.publish('work.a', n, { priority: 'low' })))
    const got: unknown[] = []
    const gate = Promise.withResolvers<void>()
    there.subscribe(
      'work.*',
      async ({ data }) => {
        got.push(data)
        if (got.length === 10) await gate.promise
      },
      { group: 'g', concurrency: 1 },
    )
    await until(() => got.length === 10)
    for (const n of numbers(5)) await here.publish('work.a', `critical ${n}`, { priority: 'critical' })
    await until(async () => (await ledgerOf(here)).leased === 256 + 5)
    gate.resolve()
    await until(() => got.length === 2_005)
    expect(got.slice(10, 15)).toEqual(numbers(5).map((n) => `critical ${n}`))
    await closed([here, there])
  })

  test('[I9] [C28] [W12] a full channel refuses the publishers of all processes', async () => {
    await using store = make()
    const buses = await swarm(store, 3, { channels: { full: { limit: 20, overflow: 'refuse' } } })
    const [bus] = buses as [Bus]
    await bus.subscribe('full.*', () => undefined, { group: 'g' }).drain()
    const outcomes: string[] = []
    for (const n of numbers(20)) {
      // One after the other: exact to those that are on their way at the same time.
      for (const one of buses) {
        outcomes.push(
          await one.publish('full.a', n).then(
            () => 'kept',
            (error) => (isBusError(error) ? error.code : 'other'),
          ),
        )
      }
    }
    expect(outcomes).toEqual(numbers(60).map((n) => (n < 20 ? 'kept' : 'QUEUE_FULL')))
    expect(await ledgerOf(bus)).toMatchObject({ held: 0, pending: 20, balance: 0 })
    await closed(buses)
  })

  test('[I9] [W11] the dead letters that three processes bury are bounded together: the newest ten stay', async () => {
    await using store = make()
    const buses = await swarm(store, 3, { channels: { bad: { retry: { attempts: 1 }, deadLetterLimit: 10 } } })
    const [bus] = buses as [Bus]
    for (const one of buses) {
      one.subscribe('bad.*', () => Promise.reject(new Error('no')), { group: 'g', concurrency: 1 })
    }
    for (const n of numbers(30)) await (buses[n % 3] as Bus).publish('bad.a', n, { until: 'handled' })
    await until(async () => (await bus.deadLetters.count({ channel: 'bad' })) === 10, 'the bound')
    const left = (await bus.deadLetters.list()).map(({ message }) => message.data as number)
    expect(left.toSorted((a, b) => a - b)).toEqual(numbers(10, 20))
    expect(await ledgerOf(bus)).toMatchObject({ dead: 30, balance: 0 })
    await closed(buses)
  })

  test('[I10] [V51] over three processes the ledger balances whenever and wherever one looks, and each message ends in one state', {
    timeout: 60_000,
  }, async () => {
    await using store = make()
    const buses = await swarm(store, 3, { defaults: { retry: FAST } })
    const [bus] = buses as [Bus]
    for (const one of buses) {
      for (const group of ['red', 'blue']) {
        const handler = async ({ data }: Message, { attempt }: { readonly attempt: number }): Promise<void> => {
          const n = data as number
          if (n % 3 === 0) await new Promise<void>((resolve) => void setImmediate(resolve))
          if (n % 10 === 7 || (n % 5 === 2 && attempt === 1)) throw new Error(`fault ${n}`)
        }
        one.subscribe('work.*', handler, { group, concurrency: 5 })
      }
    }
    let isOver = false
    let looks = 0
    const looking = Promise.all(
      buses.map(async (one) => {
        while (!isOver) {
          const { balance } = await ledgerOf(one)
          expect(balance).toBe(0)
          looks++
        }
      }),
    )
    const ids = new Map<string, number>()
    for (const n of numbers(300)) {
      const ack = await (buses[n % 3] as Bus).publish('work.x', n, {
        session: `s${n % 7}`,
        priority: PRIORITIES[n % 5] as 'normal',
        ...(n % 20 === 3 ? { ttlMs: 1 } : {}),
        ...(n % 25 === 4 ? { delayMs: 30 } : {}),
      })
      ids.set(ack.id, n)
      if (n % 40 === 9) await (buses[(n + 1) % 3] as Bus).cancel(ack.id)
    }
    await until(async () => {
      const { pending, leased, delayed } = await ledgerOf(bus)
      return pending === 0 && leased === 0 && delayed === 0
    }, 'the end of all')
    isOver = true
    await looking
    expect(looks).toBeGreaterThan(30)
    const { acked = 0, dead = 0, expired = 0, dropped = 0, ...rest } = await ledgerOf(bus)
    expect(rest).toMatchObject({ published: 600, held: 0, balance: 0 })
    expect(acked + dead + expired + dropped).toBe(600)
    expect(dead).toBeGreaterThanOrEqual(40)
    await until(async () => (await bus.deadLetters.count()) === dead + expired + dropped, 'the dead letters')
    const letters = await bus.deadLetters.list({ limit: 1_000 })
    const states = letters.map(({ group, message }) => `${group} ${message.id}`)
    expect(new Set(states).size).toBe(states.length)
    // Every process shows the same.
    for (const one of buses) {
      expect(await ledgerOf(one)).toEqual(await ledgerOf(bus))
      expect(await one.deadLetters.count()).toBe(letters.length)
    }
    await closed(buses)
  })

  test('[I13] [C38] two observers in two processes that join at 50 of 100 from offset 20 get 20 to 99 once, ascending; from the first, all', async () => {
    await using store = make()
    const buses = await swarm(store, 3)
    const [bus, ...others] = buses as [Bus, Bus, Bus]
    const offsets: string[] = []
    const seen = others.flatMap(() => [[] as number[], [] as number[]])
    for (const n of numbers(100)) {
      if (n === 50) {
        for (const [at, other] of others.entries()) {
          const from = { offset: offsets[20] as string }
          other.subscribe('chunks.*', ({ data }) => void seen[2 * at]?.push(data as number), { from, name: `o${at}` })
          other.subscribe('chunks.*', ({ data }) => void seen[2 * at + 1]?.push(data as number), {
            from: 'first',
            name: `f${at}`,
          })
        }
      }
      offsets.push((await bus.publish('chunks.a', n, { session: 's' })).offset as string)
    }
    const end = (await bus.publish('chunks.a', 100)).id
    await until(() => seen.every((one) => one.includes(100)), `the end ${end}`)
    for (const at of [0, 2]) expect(seen[at]).toEqual(numbers(81, 20))
    for (const at of [1, 3]) expect(seen[at]).toEqual(numbers(101))
    await closed(buses)
  })

  test('[I13] [C38] what one process replays while another publishes is each message once, ascending, to where it began or beyond', async () => {
    await using store = make()
    const [writer, reader] = (await swarm(store, 2)) as [Bus, Bus]
    const writing = (async () => {
      for (let n = 0; n < 2_000; n += 50) await Promise.all(numbers(50, n).map((one) => writer.publish('work.a', one)))
    })()
    let least = 0
    for (let round = 0; round < 5; round++) {
      const got: number[] = []
      for await (const { data } of reader.replay('work.>')) got.push(data as number)
      expect(got).toEqual(numbers(got.length))
      expect(got.length).toBeGreaterThanOrEqual(least)
      least = got.length
    }
    await writing
    const all: number[] = []
    for await (const { data } of reader.replay('work.>')) all.push(data as number)
    expect(all).toEqual(numbers(2_000))
    await closed([writer, reader])
  })

  test('[I7] [W14] [WN8] [C23] sessions in several processes: nothing of one is seen in another', async () => {
    await using store = make()
    const buses = await swarm(store, 3)
    const sessions = numbers(30).map((n) => `client-${n}`)
    const heard = new Map<string, unknown[]>()
    for (const [n, session] of sessions.entries()) {
      const bus = buses[n % 3] as Bus
      const handler = ({ data }: Message): void => void heard.set(session, [...(heard.get(session) ?? []), data])
      bus.subscribe('input', handler, { group: 'front', session })
    }
    for (const round of numbers(3)) {
      for (const [n, session] of sessions.entries()) {
        await (buses[(n + 1) % 3] as Bus).publish('input', `${n} ${round}`, { session })
      }
    }
    await until(() => [...heard.values()].flat().length >= 90, 'all of them')
    for (const [n, session] of sessions.entries()) {
      expect(heard.get(session)).toEqual(numbers(3).map((round) => `${n} ${round}`))
      const replayed: unknown[] = []
      for await (const { data } of (buses[(n + 2) % 3] as Bus).replay('input', { session })) replayed.push(data)
      expect(replayed).toEqual(heard.get(session))
    }
    await closed(buses)
  })
})
