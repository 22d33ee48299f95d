// One bus and the agents on it, from the first heartbeat to the drain.

import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bus, BusError, openBus } from 'swarmbus'
import { registerWorkers, type Tools } from './agents.ts'
import { LONG_MS, type Mission, type Report, registerHarold, reportFailure } from './harold.ts'
import type { Task } from './intake.ts'
import { createObserver, type Event, type Observer } from './observer.ts'
import { aboutOf } from './work.ts'

export interface Swarm {
  readonly bus: Bus
  readonly observer: Observer
  /** Tasks of earlier runs that go on now. */
  readonly resumed: number
  /** Gives a task to harold. Resolves with what became of it; never rejects. */
  submit(task: Task): Promise<Report>
  /** Resolves when no task of an earlier run is left. */
  caughtUp(): Promise<void>
  /** Stops what is in hand, leaves the rest in the log, and closes the bus. Resolves to how many tasks were left. */
  close(limitMs: number): Promise<number>
}

/** Milliseconds that one step of work takes at the ordinary pace. */
const STEP_MS = 30

/** How the swarm is started. */
export interface SwarmOptions {
  /** Where messages are kept. */
  readonly url: string
  /** Stretches the simulated work. */
  readonly pace: number
  /** ring tells every so many milliseconds that it is alive. */
  readonly beatMs: number
  readonly tell: (event: Event) => void
  /** Gets reports on tasks of earlier runs. */
  readonly onResumed: (report: Report) => void
}

/** Starts the swarm. Rejects when its file cannot be used. */
export async function startSwarm({ url, pace, beatMs, tell, onResumed }: SwarmOptions): Promise<Swarm> {
  const observer = createObserver(tell)
  const startedAt = Date.now()
  const waiting = new Map<string, (report: Report) => void>()
  const bus = await openBus(url, {
    name: 'incident',
    handlerTimeoutMs: LONG_MS,
    // What works on a task now is asked live; what must not be lost are the tasks, the stages done, and the reports.
    channels: Object.fromEntries(
      ['coding', 'deploy', 'review', 'monitor', 'status'].map((one) => [one, { kept: false }]),
    ),
    // What a shutdown leaves behind is told by the report of its task.
    onFailure: (failure) => (failure.reason === 'shutdown' ? undefined : observer.lost(failure)),
    onDeadLetters: ({ text }) => tell({ type: 'note', text: `${text}; see \`swarmbus dead-letters list\`` }),
  })
  const resumed = await unsettled(bus, 'agent.harold')
  if (resumed > 0)
    tell({ type: 'note', text: `${tasks(resumed)} of an earlier run ${resumed === 1 ? 'goes' : 'go'} on.` })
  const detach = observer.attach(bus)
  const tools: Tools = {
    bus,
    observer,
    tell,
    startedAt,
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
  bus.register('you', {
    handler: ({ to, data }) => {
      if (to !== 'you') return
      const report = data as Report
      const resolve = waiting.get(report.key)
      waiting.delete(report.key)
      if (resolve === undefined) onResumed(report)
      else resolve(report)
    },
  })
  registerHarold(tools)
  registerWorkers(tools)
  const stopHeartbeat = startHeartbeat(bus, beatMs)
  let count = 0
  let closing = false

  return {
    bus,
    observer,
    resumed,
    async submit({ text, priority, deadlineMs, session }) {
      const task = ++count
      const key = randomUUID()
      const dueAt = deadlineMs === undefined ? undefined : Date.now() + deadlineMs
      const mission: Mission = { text, task, key, about: aboutOf(text), dueAt }
      const reported = new Promise<Report>((resolve) => void waiting.set(key, resolve))
      try {
        // Tasks of one session are done one after another; without one, each task is a session of its own.
        await bus.send('harold', mission, { priority, session: session ?? `task-${key}` })
        return await reported
      } catch (error) {
        waiting.delete(key)
        return reportFailure(key, text, error)
      }
    },
    async caughtUp() {
      while (!closing && (await unsettled(bus, 'agent.harold', 'agent.you')) > 0) await sleep(20)
    },
    async close(limitMs) {
      closing = true
      stopHeartbeat()
      const dueMs = performance.now() + limitMs
      while (waiting.size > 0 && performance.now() < dueMs) await sleep(20)
      // The rest is aborted: the next run goes on with it.
      await bus.stop({ limitMs: Math.max(0, Math.min(200, dueMs - performance.now())) })
      const left = await unsettled(bus, 'agent.harold')
      const error = new BusError('BUS_CLOSED', 'the run was stopped')
      const isLeft = url !== 'memory:'
      for (const [key, resolve] of waiting) resolve({ ...reportFailure(key, '', error), left: isLeft })
      await bus.close({ limitMs: 0 })
      detach()
      return url === 'memory:' ? 0 : left
    },
  }
}

/** Messages in some channels that are not settled. */
async function unsettled(bus: Bus, ...names: readonly string[]): Promise<number> {
  let sum = 0
  for (const { name, ledger } of await bus.channels()) {
    const { pending, leased, delayed, held } = ledger
    if (names.includes(name)) sum += pending + leased + delayed + held
  }
  return sum
}

function tasks(count: number): string {
  return `${count} task${count === 1 ? '' : 's'}`
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
