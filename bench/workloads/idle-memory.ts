import { EventEmitter } from 'node:events'
import { createBus } from '../../src/index.ts'
import { dataOf, mustBe } from '../harness/data.ts'
import type { Contestant, Pass } from '../harness/types.ts'
import { agentNames } from '../peers/swarmbus.ts'

const AGENTS = 10_000

/** What each agent has done before it is idle. */
type Past = 'registered' | 'handled' | 'subscribed'

/** Heap per agent of a bus with 10 000 of them; each has a handler. */
export function idleAgents(name: string, past: Past): Contestant {
  return {
    name,
    kind: 'ours',
    open: () => ({ pass: () => weighed(() => fullBus(past)) }),
  }
}

async function fullBus(past: Past): Promise<{ readonly end: () => Promise<unknown> }> {
  let handled = 0
  const bus = createBus()
  const names = agentNames(AGENTS)
  for (const name of names) {
    const agent = bus.register(name, {
      handler() {
        handled++
      },
    })
    if (past === 'subscribed') agent.subscribe(`topic.${name}`, () => {})
  }
  if (past === 'handled') {
    for (const name of names) await bus.send(name, dataOf(0))
    await bus.idle()
    mustBe('handled messages', handled, AGENTS)
  }
  return { end: () => bus.close() }
}

/** The least that a user would write instead: an emitter with one listener for each agent, found by name. */
export const idleEmitters: Contestant = {
  name: 'EventEmitter for each',
  kind: 'peer',
  open: () => ({
    pass: () =>
      weighed(async () => {
        const emitters = new Map(agentNames(AGENTS).map((name) => [name, new EventEmitter().on('message', () => {})]))
        return { end: async () => emitters.clear() }
      }),
  }),
}

async function weighed(make: () => Promise<{ readonly end: () => Promise<unknown> }>): Promise<Pass> {
  const before = heap()
  const startMs = performance.now()
  const made = await make()
  const seconds = (performance.now() - startMs) / 1_000
  const bytes = (heap() - before) / AGENTS
  await made.end()
  return { seconds, units: AGENTS, extra: { bytes } }
}

function heap(): number {
  mustBe('type of gc, which --expose-gc brings', typeof globalThis.gc, 'function')
  globalThis.gc?.()
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
