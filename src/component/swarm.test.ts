import { expect, test } from 'vitest'
import { createBus } from '../bus/bus.ts'
import { createSwarm } from './swarm.ts'

test('input, agent and output find each other', async () => {
  await using bus = createBus()
  await using swarm = createSwarm({ bus })
  const heard: unknown[] = []
  const source = await swarm.add({ name: 'in', role: 'input' })
  await swarm.add({ name: 'shout', role: 'agent', handle: ({ data }) => String(data).toUpperCase() })
  await swarm.add({
    name: 'out',
    role: 'output',
    handle: ({ data, from, headers }) => void heard.push([data, from, headers.event]),
  })
  await swarm.start()
  expect(swarm.routes.list().map(({ from, to }) => [from, to])).toEqual([
    ['in', ['shout']],
    ['shout', ['out']],
    ['out', []],
  ])
  const result = await source.emit('input_received', 'hello', { session: 's1' })
  expect(result).toEqual({ payload: 'hello', delivered: ['shout'], failed: [], stoppedBy: undefined })
  await swarm.idle()
  expect(heard).toEqual([['HELLO', 'shout', 'response_generated']])
  expect(await swarm.stop()).toEqual({ drained: true, left: 0, failed: [] })
})
