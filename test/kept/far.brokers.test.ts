import { describe, expect, test } from 'vitest'
import { type Bus, isBusError, type Message, type OpenOptions } from '../../src/index.ts'
import { BROKERS, type SharedStore } from './brokers.ts'
import { ledgerOf, until } from './support.ts'

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n)

async function swarm(store: SharedStore, count: number, options: OpenOptions = {}): Promise<Bus[]> {
  return Promise.all(numbers(count).map((n) => store.open({ name: `p${n}`, ...options })))
}

async function closed(buses: readonly Bus[]): Promise<void> {
  await Promise.all(buses.map((bus) => bus.close()))
}

const codeOf = (error: unknown): string => (isBusError(error) ? error.code : String(error))

describe.each(BROKERS)('on $name', ({ make }) => {
  test('[ZN32] [Z95] what one process publishes is heard in another: by a group, by a subscription, by a later one, by who replays', async () => {
    await using store = make()
    const [here, there] = (await swarm(store, 2)) as [Bus, Bus]
    const seen: Record<string, unknown[]> = { group: [], live: [], late: [] }
    there.subscribe('tasks.*', ({ data }) => void seen.group?.push(data), { group: 'g' })
    there.subscribe('tasks.*', ({ data }) => void seen.live?.push(data), { from: 'now' })
    const bytes = Uint8Array.of(1, 2, 3)
    await until(async () => here.processes().some((one) => one.subscriptions > 0), 'the other one')
    for (const n of numbers(5)) await here.publish('tasks.a', { n, bytes, at: new Date(n) }, { session: 's' })
    await until(() => seen.group?.length === 5 && seen.live?.length === 5, 'all')
    there.subscribe('tasks.*', ({ data }) => void seen.late?.push(data), { from: 'first' })
    await until(() => seen.late?.length === 5, 'the late one')
    const own = numbers(5).map((n) => ({ n, bytes, at: new Date(n) }))
    expect(seen).toEqual({ group: own, live: own, late: own })
    const third = await store.open()
    const replayed: unknown[] = []
    for await (const { data } of third.replay('tasks.>')) replayed.push(data)
    expect(replayed).toEqual(own)
    await closed([here, there, third])
  })

  test('[C8] [CN2] of 1 000 sent to pink none is taken by red, who listens in another process, nor by a second one of another name', async () => {
    await using store = make()
    const [here, there, third] = (await swarm(store, 3)) as [Bus, Bus, Bus]
    const got: Record<string, number[]> = { pink: [], red: [], blue: [] }
    there.register('pink', { handler: ({ data }) => void got.pink?.push(data as number) })
    third.register('red', { handler: ({ data }) => void got.red?.push(data as number) })
    here.register('blue', { handler: ({ data }) => void got.blue?.push(data as number) })
    await until(() => here.processes().flatMap(({ agents }) => agents).length === 2, 'pink and red')
    for (const part of numbers(10)) {
      await Promise.all(numbers(100).map((n) => here.send('pink', part * 100 + n, { session: 'chat' })))
    }
    await until(() => got.pink?.length === 1_000, 'all of them')
    await until(async () => (await ledgerOf(here)).acked === 1_000, 'their acknowledgements')
    expect(got).toEqual({ pink: numbers(1_000), red: [], blue: [] })
    await closed([here, there, third])
  })

  test('[C10] [CN3] 300 broadcasts to three agents in three processes are 900 deliveries', async () => {
    await using store = make()
    const buses = await swarm(store, 3)
    const got: Record<string, number[]> = { pink: [], red: [], blue: [] }
    for (const [at, name] of Object.keys(got).entries()) {
      ;(buses[at] as Bus).register(name, { handler: ({ data }) => void got[name]?.push(data as number) })
    }
    const [bus] = buses as [Bus]
    await until(() => bus.processes().flatMap(({ agents }) => agents).length === 2, 'the others')
    for (const n of numbers(300)) expect((await bus.broadcast(n)).accepted?.toSorted()).toEqual(['blue', 'pink', 'red'])
    await until(() => Object.values(got).every((one) => one.length === 300), 'all 900')
    expect(got).toEqual({ pink: numbers(300), red: numbers(300), blue: numbers(300) })
    await closed(buses)
  })

  test('[C11] [CN4] a direct message: its sender hears success only when the agent in the other process has handled it, or what became of it', async () => {
    await using store = make()
    const [here, there] = (await swarm(store, 2, { defaults: { retry: { attempts: 2, firstDelayMs: 5 } } })) as [
      Bus,
      Bus,
    ]
    expect(await here.send('pink', 'nobody').catch(codeOf)).toBe('UNKNOWN_AGENT')
    const busy = Promise.withResolvers<void>()
    const began = Promise.withResolvers<void>()
    there.register('pink', {
      handler: async ({ data }) => {
        if (data === 'bad') throw new Error('cannot do that')
        began.resolve()
        await busy.promise
      },
    })
    await until(() => here.processes().flatMap(({ agents }) => agents).length === 1, 'pink')
    // Delivered: kept, under an id.
    const accepted = await here.send('pink', 'work')
    expect(accepted).toMatchObject({ id: expect.any(String), offset: expect.any(String), duplicate: false })
    await began.promise
    busy.resolve()
    // Processed.
    const handled = await here.send('pink', 'more', { until: 'handled' })
    expect(handled.deliveries).toMatchObject([{ outcome: 'handled' }])
    await here.send('pink', 'even more', { until: 'succeeded' })
    expect(await here.send('pink', 'bad', { until: 'succeeded' }).catch(codeOf)).toBe('HANDLER_FAILED')
    const failed = await here.send('pink', 'bad', { until: 'handled' })
    expect(failed.deliveries).toMatchObject([{ outcome: 'failed' }])
    await closed([here, there])
  })

  test('[C11] [CN4] a sender is told nothing good while nobody reads: what is held for an agent is not handled until it comes', async () => {
    await using store = make()
    const [here, there] = (await swarm(store, 2)) as [Bus, Bus]
    here.declare('pink')
    // Told that it is held: of nobody that it was handled.
    for (const data of ['work', 'more']) {
      const ack = await here.send('pink', data, { until: 'handled' })
      expect(ack).toMatchObject({ held: true })
      expect(ack.deliveries ?? []).toEqual([])
    }
    const got: unknown[] = []
    there.register('pink', { handler: ({ data }) => void got.push(data) })
    await until(() => got.length === 2, 'both')
    expect(got).toEqual(['work', 'more'])
    await closed([here, there])
  })

  test('[L84] a command finds its one handler in another process, and a session goes on in its order whichever process sends', async () => {
    await using store = make()
    const buses = await swarm(store, 3)
    const handled: [at: number, session: string | undefined, data: unknown][] = []
    for (const [at, bus] of buses.entries()) {
      bus.subscribe('command.*', ({ data, session }) => void handled.push([at, session, data]), { group: 'handlers' })
    }
    for (const n of numbers(120)) {
      await (buses[n % 3] as Bus).publish('command.do', n, { session: `s${n % 6}` })
    }
    const [bus] = buses as [Bus]
    await until(async () => (await ledgerOf(bus)).acked === 120, 'all commands')
    expect(handled.map(([, , data]) => data as number).toSorted((a, b) => a - b)).toEqual(numbers(120))
    for (const session of numbers(6)) {
      const own = handled.filter(([, of]) => of === `s${session}`).map(([, , data]) => data)
      expect(own).toEqual(numbers(120).filter((n) => n % 6 === session))
    }
    await closed(buses)
  })

  test('[C21] a cancel reaches what waits in the log, what waits in another process, and what runs there', async () => {
    await using store = make()
    const [here, there] = (await swarm(store, 2)) as [Bus, Bus]
    const handled: unknown[] = []
    let reason: unknown
    there.subscribe(
      'tasks.*',
      ({ data }, { signal }) =>
        new Promise<void>((resolve, reject) => {
          handled.push(data)
          if (data === 'last') resolve()
          signal.addEventListener('abort', () => {
            reason = signal.reason
            reject(signal.reason as Error)
          })
        }),
      { group: 'g', concurrency: 1 },
    )
    const running = await here.publish('tasks.a', 'running')
    const waiting = await here.publish('tasks.a', 'waiting')
    const late = await here.publish('tasks.a', 'late', { delayMs: 3_600_000 })
    await here.publish('tasks.a', 'last')
    await until(() => handled.length === 1)
    await until(async () => (await ledgerOf(here)).leased === 3, 'what is in hand')
    for (const { id } of [waiting, late, running]) expect(await here.cancel(id)).toBe(1)
    await until(async () => (await ledgerOf(here)).acked === 1, 'the last one')
    expect(handled).toEqual(['running', 'last'])
    expect(reason).toMatchObject({ code: 'CANCELLED' })
    await until(async () => (await here.deadLetters.count({ reason: 'cancelled' })) === 3, 'their records')
    expect(await ledgerOf(here)).toMatchObject({ published: 4, acked: 1, dropped: 3, balance: 0 })
    await closed([here, there])
  })

  test('[W11] [C18] [W7] dead letters of one process are listed, told of, tried again and discarded from another', async () => {
    await using store = make()
    const [here, there] = (await swarm(store, 2, { defaults: { retry: { attempts: 1 } } })) as [Bus, Bus]
    let healthy = false
    const seen: unknown[] = []
    const handler = ({ data }: Message): void => {
      if (!healthy) throw new Error('the handler is ill')
      seen.push(data)
    }
    there.subscribe('t.*', handler, { group: 'g' })
    for (const n of numbers(10))
      await here.publish('t.a', n, { priority: n % 2 === 0 ? 'critical' : 'low', until: 'handled' })
    await until(async () => (await here.deadLetters.count()) === 10, 'the dead letters')
    const letters = await here.deadLetters.list({ limit: 100 })
    expect(letters[0]).toMatchObject({
      channel: 't',
      reason: 'handler-error',
      error: expect.stringContaining('is ill'),
    })
    healthy = true
    const [first, second] = letters
    await here.deadLetters.redrive(first?.id as string)
    await until(() => seen.length === 1)
    expect(seen).toEqual([first?.message.data])
    await here.deadLetters.discard(second?.id as string)
    expect(await there.deadLetters.redrive(second?.id as string).catch(codeOf)).toBe('UNKNOWN_DEAD_LETTER')
    expect(await here.deadLetters.redriveAll()).toBe(8)
    await until(async () => (await ledgerOf(there)).acked === 9, 'all that was redriven')
    for (const bus of [here, there]) expect(await bus.deadLetters.count()).toBe(0)
    await closed([here, there])
  })
})
