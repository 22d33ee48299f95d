import { describe, expect, test } from 'vitest'
import { type Bus, isBusError, type Message } from '../../src/index.ts'
import { BROKERS } from './brokers.ts'
import { childOn } from './children.ts'
import { ledgerOf, until } from './support.ts'

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n)
const codeOf = (error: unknown): string => (isBusError(error) ? error.code : String(error))

describe.each(BROKERS)('on $name', ({ make }) => {
  test('[C9] pools by type over five processes: shared fairly, each task to exactly one, no pool sees another, members come and go', async () => {
    await using store = make()
    const names = ['pink', 'red', 'blue', 'harold', 'ring']
    const buses = await Promise.all(names.map((name) => store.open({ name })))
    const [pink, red, blue, harold, ring] = buses as [Bus, Bus, Bus, Bus, Bus]
    const got = new Map<string, unknown[]>(names.map((name) => [name, []]))
    const join = (name: string, bus: Bus, topic: string, group: string) =>
      bus.subscribe(
        topic,
        async ({ data }: Message) => {
          got.get(name)?.push(data)
          await new Promise((resolve) => setTimeout(resolve, 5))
        },
        { group, concurrency: 4 },
      )
    const count = (name: string): number => got.get(name)?.length ?? 0
    const acked = async (sum: number): Promise<void> =>
      until(async () => (await ledgerOf(harold)).acked === sum, `${sum} acknowledgements`)
    const coders = [join('pink', pink, 'tasks.coding', 'coders'), join('red', red, 'tasks.coding', 'coders')]
    join('harold', harold, 'tasks.deploy', 'deployers')
    join('ring', ring, 'tasks.monitor', 'health-ring')
    const give = (topic: string, from: number, most: number): Promise<unknown> =>
      Promise.all(numbers(most).map((n) => harold.publish(topic, from + n)))

    await Promise.all([give('tasks.coding', 0, 400), give('tasks.deploy', 0, 10), give('tasks.monitor', 0, 20)])
    await until(() => count('pink') + count('red') === 400, 'the work of two')
    await acked(430)
    for (const name of ['pink', 'red']) expect(count(name)).toBeGreaterThanOrEqual(60)

    await coders[0]?.drain()
    const atLeaving = count('pink')
    await give('tasks.coding', 400, 200)
    await until(() => count('red') + atLeaving === 600, 'the work of one')
    expect(count('pink')).toBe(atLeaving)

    join('blue', blue, 'tasks.coding', 'coders')
    await until(() => harold.processes().some((one) => one.name === 'blue' && one.subscriptions > 0), 'blue')
    await acked(630)
    await give('tasks.coding', 600, 400)
    await until(() => count('red') + count('blue') + atLeaving === 1_000, 'the work of two again')
    expect(count('blue')).toBeGreaterThanOrEqual(60)
    await acked(1_030)

    const all = ['pink', 'red', 'blue'].flatMap((name) => got.get(name) as number[])
    expect(all.toSorted((a, b) => a - b)).toEqual(numbers(1_000))
    expect(got.get('harold')?.toSorted()).toEqual(numbers(10).toSorted())
    expect(new Set(got.get('ring'))).toEqual(new Set(numbers(20)))
    expect(count('ring')).toBe(20)
    await Promise.all(buses.map((bus) => bus.close()))
  })

  test('[C20] [CN8] what became too old in the log is handled by nobody: who sent it from another process is told, and it is a dead letter', async () => {
    await using store = make()
    const [here, there] = (await Promise.all([store.open(), store.open()])) as [Bus, Bus]
    const got: unknown[] = []
    const busy = Promise.withResolvers<void>()
    there.subscribe(
      'tasks.*',
      async ({ data }) => {
        got.push(data)
        await busy.promise
      },
      { group: 'workers', concurrency: 1, maxAgeMs: 2_000 },
    )
    await until(() => here.processes().some((one) => one.subscriptions > 0), 'the other one')
    await here.publish('tasks.a', 'first')
    await until(() => got.length === 1, 'the first')
    const sent = performance.now()
    const late = here.publish('tasks.a', 'late', { ttlMs: 300, until: 'succeeded' }).catch(codeOf)
    await here.publish('tasks.a', 'old')
    await until(() => performance.now() - sent > 2_100)
    busy.resolve()
    expect(await late).toBe('MESSAGE_EXPIRED')
    await until(async () => (await here.deadLetters.count({ reason: 'expired' })) === 2, 'both records')
    await here.publish('tasks.a', 'young', { until: 'succeeded' })
    expect(got).toEqual(['first', 'young'])
    const letters = await here.deadLetters.list()
    expect(letters.map(({ message, reason, attempts }) => [message.data, reason, attempts.length]).toSorted()).toEqual([
      ['late', 'expired', 0],
      ['old', 'expired', 0],
    ])
    expect(await ledgerOf(here)).toMatchObject({ published: 4, expired: 2, acked: 2, balance: 0 })
    await Promise.all([here.close(), there.close()])
  })

  test('[CN12] stopped and closed twice and at once, with publishes meanwhile: each is refused or kept, and what is kept is handled elsewhere', async () => {
    await using store = make()
    const [leaving, staying] = (await Promise.all([store.open(), store.open()])) as [Bus, Bus]
    const got: unknown[] = []
    const note = ({ data }: Message): void => void got.push(data)
    for (const bus of [leaving, staying]) bus.subscribe('work.*', note, { group: 'workers' })
    const kept: unknown[] = []
    const codes = new Set<string>()
    const publish = async (n: number): Promise<void> =>
      leaving.publish('work.a', n).then(
        () => void kept.push(n),
        (error: unknown) => void codes.add(codeOf(error)),
      )
    const publishes = numbers(100).map(publish)
    const ends = [leaving.stop(), leaving.drain(), leaving.close(), leaving.close()]
    publishes.push(...numbers(100).map((n) => publish(100 + n)))
    await Promise.all([...ends, ...publishes])
    await leaving.close()
    await leaving[Symbol.asyncDispose]()
    publishes.push(publish(200))
    await Promise.all(publishes)
    expect(leaving.stats().state).toBe('closed')
    // What was published once it stopped is refused by name; nothing hangs, and nothing that was kept is forgotten.
    for (const code of codes) expect(['NOT_RUNNING', 'BUS_CLOSED']).toContain(code)
    expect(codes.size).toBeGreaterThan(0)
    await until(async () => (await ledgerOf(staying)).acked === kept.length, 'all that was kept')
    expect(new Set(got)).toEqual(new Set(kept))
    expect((await ledgerOf(staying)).published).toBe(kept.length)
    await staying.close()
  })

  test('[CN12] ids that four processes make at the same moment do not collide', async () => {
    await using store = make()
    const url = await store.url()
    const makers = numbers(4).map(() =>
      childOn(
        url,
        '{}',
        `await new Promise((resolve) => {
           process.once('SIGUSR2', resolve)
           say('armed')
         })
         const acks = await Promise.all(Array.from({ length: 500 }, (_, n) => bus.publish('work.a', n)))
         say('ids ' + acks.map(({ id }) => id).join())`,
      ),
    )
    await Promise.all(makers.map((one) => one.said('armed')))
    for (const one of makers) one.process.kill('SIGUSR2')
    await Promise.all(makers.map((one) => one.said('ids ')))
    const ids = makers.flatMap((one) => one.after('ids').flatMap((text) => text.split(',')))
    expect(ids).toHaveLength(2_000)
    expect(new Set(ids).size).toBe(2_000)
    // The broker, which stores a repeated id once, has seen no repeat either.
    const bus = await store.open()
    expect((await Array.fromAsync(bus.replay('work.>'))).length).toBe(2_000)
    await bus.close()
  })
})
