import { expect, test } from 'vitest'
import { type Component, createSwarm, type Swarm, type SwarmFault } from '../../src/component/index.ts'
import { type Bus, createBus, openBus } from '../../src/index.ts'
import { folder } from '../crash/sqlite-kit.ts'
import { childOn } from '../kept/children.ts'
import { sink } from '../origins/support/components.ts'
import { gate, range } from '../origins/support/woodwork.ts'

const QUICK = { defaults: { retry: { attempts: 3, firstDelayMs: 5 } } } as const
const DOOR = new URL('../../src/component/index.ts', import.meta.url).href

/** A swarm on a log in a file, and how to end both at once. */
async function open(url: string): Promise<{ bus: Bus; swarm: Swarm; end: () => Promise<void> }> {
  const bus = await openBus(url, { ...QUICK, drainMs: 200 })
  const swarm = createSwarm({ bus, hopLimit: 12 })
  const end = async (): Promise<void> => {
    await swarm.stop({ limitMs: 0 })
    await bus.close()
  }
  return { bus, swarm, end }
}

test('[W78] [W34] after kill -9 in the middle of a chain the next process finishes it: all of it, in order, what was emitted before only once', async () => {
  using place = folder()
  const url = `sqlite:${place.file}`
  const child = childOn(
    url,
    '{}',
    `
    const { createSwarm } = await import(${JSON.stringify(DOOR)})
    const swarm = createSwarm({ bus })
    const source = await swarm.add({ name: 'in', role: 'input', to: 'mid' })
    const mid = await swarm.add({ name: 'mid', to: 'out', async handle({ data }) {
      await mid.emit('result_ready', data + ' begun')
      if (data === 's0 3') {
        say('stuck')
        await new Promise(() => undefined)
      }
      return data + ' done'
    } })
    await swarm.add({ name: 'out', role: 'output', handle: ({ data }) => say('out ' + data) })
    await swarm.start()
    for (let n = 0; n < 6; n++) await source.emit('input_received', 's0 ' + n, { session: 's0' })
    say('sent')
  `,
  )
  await child.said('sent')
  await child.said('stuck')
  await child.said('out s0 3 begun')
  await child.kill()

  const heard: unknown[] = []
  const { bus, swarm, end } = await open(url)
  await swarm.add({
    name: 'mid',
    to: 'out',
    async handle({ data }) {
      await swarm.component('mid').emit('result_ready', `${String(data)} begun`)
      return `${String(data)} done`
    },
  })
  await swarm.add({
    name: 'out',
    role: 'output',
    handle: ({ data, session, hops, from }) => void heard.push([data, session, hops, from]),
  })
  await swarm.start()
  await expect.poll(() => heard.at(-1), { timeout: 20_000 }).toEqual(['s0 5 done', 's0', 1, 'mid'])
  await swarm.idle()
  // What the first one said may be said again where its acknowledgement was lost; what it emitted is not kept twice.
  const all = [...child.after('out'), ...heard.map((one) => (one as unknown[])[0])]
  const first = all.filter((one, index) => all.indexOf(one) === index)
  expect(first).toEqual(range(6).flatMap((n) => [`s0 ${n} begun`, `s0 ${n} done`]))
  expect(heard.filter((one) => (one as unknown[])[0] === 's0 3 begun').length).toBeLessThanOrEqual(1)
  expect(await bus.deadLetters.count()).toBe(0)
  await end()
}, 60_000)

test('[W34] [WN13] the hops of a circle are counted across a restart, and its end is told once', async () => {
  using place = folder()
  const faults: SwarmFault[] = []
  const seen: number[] = []
  const stuck = gate()
  const run = async (stopAt: number | undefined): Promise<void> => {
    const bus = await openBus(`sqlite:${place.file}`, { drainMs: 200 })
    const swarm = createSwarm({ bus, hopLimit: 12, onFault: (fault) => faults.push(fault) })
    const handle = async ({ data, hops }: { data: unknown; hops: number }): Promise<unknown> => {
      if (hops === stopAt) {
        stuck.open()
        await gate().opened
      }
      seen.push(hops)
      return data
    }
    const source = await swarm.add({ name: 'in', role: 'input', to: 'ping' })
    await swarm.add({ name: 'ping', to: 'pong', handle })
    await swarm.add({ name: 'pong', to: 'ping', handle })
    await swarm.start()
    if (stopAt === undefined) await expect.poll(() => faults.length).toBe(1)
    else {
      await source.emit('input_received', 'x')
      await stuck.opened
    }
    await swarm.stop({ limitMs: 0 })
    await bus.close()
  }
  await run(5)
  expect([seen, faults]).toEqual([range(5), []])
  await run(undefined)
  expect(seen).toEqual(range(13))
  expect(faults).toMatchObject([{ type: 'cycle' }])
  expect(faults[0]?.message).toMatch(/"p[io]ng" → "p[io]ng" → "p[io]ng"; it was ended after 12 hops/)
})

test('[W47] [WN17] what a pipe has stopped stays stopped across a restart, whole, and passes the pipes again when it is redriven', async () => {
  using place = folder()
  const url = `sqlite:${place.file}`
  const broken = (): never => {
    throw new Error('no pattern')
  }
  const first = await open(url)
  const a = await first.swarm.add({ name: 'a', to: 'out' })
  await first.swarm.add(sink('out', []))
  await first.swarm.start()
  a.pipe('result_ready', broken, { name: 'redact' })
  const { stoppedBy } = await a.emit('result_ready', { card: '4242' }, { session: 's1' })
  expect(stoppedBy).toBe('redact')
  await first.swarm.idle()
  await first.end()

  const heard: unknown[] = []
  const second = await open(url)
  const again = await second.swarm.add({ name: 'a', to: 'out' })
  await second.swarm.add({
    name: 'out',
    role: 'output',
    handle: ({ data, session }) => void heard.push([data, session]),
  })
  await second.swarm.start()
  const [letter, ...others] = await second.bus.deadLetters.list()
  expect(others).toEqual([])
  expect(letter).toMatchObject({ code: 'PIPE_FAILED', message: { data: { card: '4242' }, session: 's1', from: 'a' } })
  const off = again.pipe('result_ready', broken, { name: 'redact' })
  await second.bus.deadLetters.redrive(letter?.id as string)
  await expect.poll(async () => (await second.bus.deadLetters.list()).length).toBe(1)
  expect(heard).toEqual([])
  off()
  again.pipe('result_ready', () => ({ card: '****' }))
  await second.bus.deadLetters.redrive((await second.bus.deadLetters.list())[0]?.id as string)
  await expect.poll(() => heard).toEqual([[{ card: '****' }, 's1']])
  expect(await second.bus.deadLetters.count()).toBe(0)
  await second.end()
})

test('[W47] [WN17] what was stopped and not yet laid aside when the process ended meets the pipes of the next one', async () => {
  using place = folder()
  const url = `sqlite:${place.file}`
  const first = await open(url)
  const busy = gate()
  // Its one hand is full: what is stopped waits in its inbox.
  const a = await first.swarm.add({
    name: 'a',
    to: 'out',
    concurrency: 1,
    handle() {
      busy.open()
      return gate().opened
    },
  })
  await first.swarm.add(sink('out', []))
  await first.swarm.start()
  a.pipe('result_ready', () => Promise.reject(new Error('down')), { name: 'redact' })
  await first.bus.send('a', 'long')
  await busy.opened
  expect((await a.emit('result_ready', 'card 42')).stoppedBy).toBe('redact')
  await first.end()

  const heard: unknown[] = []
  const second = await open(url)
  await second.swarm.add({
    name: 'a',
    to: 'out',
    start: (own: Component) => void own.pipe('result_ready', () => 'card **'),
    handle: () => undefined,
  })
  await second.swarm.add(sink('out', heard))
  await second.swarm.start()
  await expect.poll(() => heard).toEqual(['card **'])
  await second.swarm.idle()
  expect(await second.bus.deadLetters.count()).toBe(0)
  await second.end()
})

test('what a handling emits in another order, or not at all, when it is tried again is neither lost nor doubled', async () => {
  const heard: unknown[] = []
  let tries = 0
  await using bus = await openBus('memory:', QUICK)
  await using swarm = createSwarm({ bus })
  const a = await swarm.add({
    name: 'a',
    to: 'out',
    async handle() {
      tries++
      const pages = [
        ['one', 'same', 'same', 'b'.repeat(300)],
        ['two', 'one', 'same', 'same', 'b'.repeat(300)],
      ][tries - 1]
      await Promise.all((pages ?? []).map((page) => a.emit('page_ready', { page, at: new Map([[page, 1n]]) })))
      await a.emit('input_processed', 'one')
      await a.emit('agent.thought', { thought: `try ${tries}` })
      if (tries === 1) throw new Error('not yet')
      return `result of try ${tries}`
    },
  })
  await swarm.add({ name: 'out', handle: ({ data }) => void heard.push((data as { page?: string }).page ?? data) })
  await swarm.start()
  await bus.send('a', 1)
  await expect.poll(() => heard).toContain('result of try 2')
  await swarm.idle()
  expect(heard.toSorted()).toEqual(['b'.repeat(300), 'one', 'one', 'result of try 2', 'same', 'same', 'two'])
  expect(tries).toBe(2)
})

test('what is held for a component that nobody has keeps neither an idle swarm nor a stop waiting, and is there when it comes', async () => {
  for (const url of ['memory:', undefined]) {
    const heard: unknown[] = []
    await using bus = url === undefined ? createBus({ drainMs: 60_000 }) : await openBus(url, { drainMs: 60_000 })
    bus.declare('absent')
    const swarm = createSwarm({ bus })
    const a = await swarm.add({ name: 'a', to: ['absent', 'out'] })
    await swarm.add(sink('out', heard))
    await swarm.start()
    expect((await a.emit('result_ready', 'x')).delivered).toEqual(['absent', 'out'])
    await swarm.idle()
    expect(heard).toEqual(['x'])
    expect(await swarm.stop()).toEqual({ drained: true, left: 0, failed: [] })
    const late = bus.register('absent', { handler: ({ data }) => void heard.push(['late', data]) })
    await expect.poll(() => heard).toEqual(['x', ['late', 'x']])
    late.unregister()
  }
})
