import { expect, test } from 'vitest'
import { createSwarm } from '../../src/component/index.ts'
import { createBus, openBus } from '../../src/index.ts'
import { sink, swarmOf } from './support/components.ts'
import { faultOf, gate } from './support/woodwork.ts'

test('[WN19] a broadcast asks nothing of components that take no messages', async () => {
  await using bus = createBus()
  const faults: string[] = []
  const swarm = createSwarm({ bus, onFault: ({ message }) => void faults.push(message) })
  await swarm.add({ name: 'mute', role: 'input' })
  await swarm.add(sink('out', []))
  await swarm.start()
  await bus.broadcast('all of you', { until: 'handled' })
  expect(faults).toEqual([])
  // What is meant for one of them is told to whoever asked.
  expect((await faultOf(bus.request('agent.mute', 'you'))).message).toContain('mute')
  await swarm.stop()
})

test('[W78] [W19] a stop lets what is on its way arrive, and says what was left when the time was up', async () => {
  const heard: unknown[] = []
  const open = gate()
  const wait = {
    name: 'mid',
    to: 'out',
    concurrency: 3,
    handle: ({ data }: { data: unknown }) => open.opened.then(() => data),
  }
  await using r = await swarmOf([{ name: 'in', role: 'input', to: 'mid' }, wait, sink('out', heard)])
  for (let n = 0; n < 3; n++) await r.swarm.component('in').emit('input_received', n)
  const stopped = r.swarm.stop({ limitMs: 1_000 })
  await r.env.settle()
  open.open()
  expect(await stopped).toEqual({ drained: true, left: 0, failed: [] })
  expect(heard).toEqual([0, 1, 2])

  await using hung = await swarmOf([
    { name: 'in', to: 'mid', role: 'input' },
    { name: 'mid', handle: () => gate().opened },
  ])
  for (let n = 0; n < 3; n++) await hung.swarm.component('in').emit('input_received', n)
  const late = hung.swarm.stop({ limitMs: 100 })
  await hung.env.advance(200)
  expect(await late).toEqual({ drained: false, left: 3, failed: [] })
})

test('[W78] the swarm has ended when every input has, and what came of it is done', async () => {
  const heard: unknown[] = []
  const typed = gate()
  const done = gate()
  await using r = await swarmOf([
    { name: 'in', role: 'input', ended: typed.opened, to: 'out' },
    { name: 'out', role: 'output', handle: ({ data }) => done.opened.then(() => void heard.push(data)) },
  ])
  let over = false
  void r.swarm.ended.then(() => {
    over = true
  })
  await r.swarm.component('in').emit('input_received', 'last')
  typed.open()
  await r.env.settle()
  expect(over).toBe(false)
  done.open()
  await r.env.settle()
  expect([over, heard]).toEqual([true, ['last']])
})

test('[WN11] with a log, what waited for a component that ended is there at the next start', async () => {
  const heard: unknown[] = []
  await using bus = await openBus('memory:', { drainMs: 10 })
  const first = createSwarm({ bus })
  await first.add({ name: 'in', role: 'input', to: 'out' })
  await first.add({ name: 'out', role: 'output', handle: () => gate().opened })
  await first.start()
  for (const data of ['in hand', 'waiting']) await first.component('in').emit('input_received', data)
  await first.stop({ limitMs: 10 })
  await using second = createSwarm({ bus })
  await second.add(sink('out', heard))
  await second.start()
  await expect.poll(() => heard).toContain('waiting')
})

test('[WN21] a send among 1 000 components costs at most twice what it costs among 10', async () => {
  const cost = async (count: number): Promise<number> => {
    await using bus = createBus()
    await using swarm = createSwarm({ bus })
    for (let n = 0; n < count; n++) await swarm.add({ name: `c${n}`, handle: () => undefined })
    await swarm.start()
    const source = await swarm.add({ name: 'source', role: 'input', to: 'c7' })
    let least = Number.POSITIVE_INFINITY
    for (let round = 0; round < 10; round++) {
      const startMs = performance.now()
      for (let n = 0; n < 1_000; n++) await source.emit('input_received', n)
      least = Math.min(least, performance.now() - startMs)
      await swarm.idle()
    }
    return least
  }
  const least = { few: Number.POSITIVE_INFINITY, many: Number.POSITIVE_INFINITY }
  // In turn, and several of each: whatever else the machine does falls on both.
  for (let round = 0; round < 6; round++) {
    least.few = Math.min(least.few, await cost(10))
    least.many = Math.min(least.many, await cost(1_000))
  }
  expect(least.many).toBeLessThan(2 * least.few)
}, 30_000)
