// One bus and the agents on it, from the first heartbeat to the drain.

import { setTimeout as sleep } from 'node:timers/promises'
import { type Bus, createBus } from 'swarmbus'
import { registerWorkers, type Tools } from './agents.ts'
import { LONG_MS, type Mission, type Report, registerHarold, reportFailure } from './harold.ts'
import type { Task } from './intake.ts'
import { createObserver, type Event, type Observer } from './observer.ts'
import { aboutOf } from './work.ts'

export interface Swarm {
  readonly bus: Bus
  readonly observer: Observer
  /** Gives a task to harold. Resolves with what became of it; never rejects. */
  submit(task: Task): Promise<Report>
  /** Refuses new tasks, finishes what is in hand within `limitMs`, and closes the bus. */
  close(limitMs: number): Promise<void>
}

/** Milliseconds that one step of work takes at the ordinary pace. */
const STEP_MS = 30
/** How long harold may need after a deadline to report that it was missed. */
const GRACE_MS = 5_000

/** Starts the swarm. `pace` stretches the simulated work; ring tells every `beatMs` that it is alive; `tell` gets every event. */
export function startSwarm(pace: number, beatMs: number, tell: (event: Event) => void): Swarm {
  const observer = createObserver(tell)
  const bus = createBus({
    name: 'incident',
    handlerTimeoutMs: LONG_MS,
    // What a shutdown leaves behind is told by the report of its task.
    onFailure: (failure) => (failure.reason === 'shutdown' ? undefined : observer.lost(failure)),
  })
  const detach = observer.attach(bus)
  const tools: Tools = {
    bus,
    observer,
    async work(steps, { signal }) {
      for (const _step of steps) {
        // The reason says why nobody needs the work any more; the timer would only say that it was aborted.
        await sleep(STEP_MS * pace, undefined, { signal }).catch(() => signal.throwIfAborted())
      }
    },
    async ask(from, topic, data, options) {
      const answer = await from.request<never>(topic, data, options)
      observer.answered(answer)
      return answer.data
    },
  }
  registerHarold(tools)
  registerWorkers(tools)
  const stopHeartbeat = startHeartbeat(bus, beatMs)
  let tasks = 0

  return {
    bus,
    observer,
    async submit({ text, priority, deadlineMs, session }) {
      const task = ++tasks
      const dueMs = deadlineMs === undefined ? undefined : performance.now() + deadlineMs
      const mission: Mission = { text, task, about: aboutOf(text), dueMs }
      try {
        return await tools.ask<Report>(bus, 'agent.harold', mission, {
          priority,
          // Tasks of one session are done one after another; without one, each task is a session of its own.
          session: session ?? `task-${task}`,
          timeoutMs: deadlineMs === undefined ? LONG_MS : deadlineMs + GRACE_MS,
        })
      } catch (error) {
        return reportFailure(error)
      }
    },
    async close(limitMs) {
      stopHeartbeat()
      await bus.close({ limitMs })
      detach()
    },
  }
}

/** ring says at once, then every `beatMs`, that the swarm is alive; at the lowest priority, to everybody. */
function startHeartbeat(bus: Bus, beatMs: number): () => void {
  const beat = (): void => {
    const { queued, concurrency } = bus.stats()
    const text = `heartbeat: ${concurrency.active} at work, ${queued} waiting`
    // Refused only while the bus closes; then nobody needs it.
    bus.broadcast({ text, by: 'ring' }, { from: 'ring', priority: 'background' }).catch(() => undefined)
  }
  beat()
  const timer = setInterval(beat, beatMs)
  return () => clearInterval(timer)
}
