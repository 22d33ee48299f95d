// One bus and the agents on it, from the first heartbeat to the drain.

import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bus, BusError, isBusError, openBus } from 'swarmbus'
import { LONG_MS, registerWorkers, type Tools } from './agents.ts'
import { AGENTS, type AgentName, agentsThere, createAsk, takeName, watchProcesses } from './crew.ts'
import { type Mission, type Report, registerHarold, reportFailure } from './harold.ts'
import type { Task } from './intake.ts'
import { createObserver, type Event, type Observer } from './observer.ts'
import { aboutOf } from './work.ts'

export interface Swarm {
  readonly bus: Bus
  readonly observer: Observer
  /** Gives a task to harold. Resolves with what became of it; never rejects. */
  submit(task: Task): Promise<Report>
  /** Resolves when no task of an earlier run is left, as far as this process knows of them. */
  caughtUp(): Promise<void>
  /** Stops what is in hand, leaves the rest in the log, and closes the bus. Resolves to how many tasks were left. */
  close(limitMs: number): Promise<number>
}

/** Milliseconds that one step of work takes at the ordinary pace. */
const STEP_MS = 30
/** After so long what a process had in hand that died is handed to another one. */
const TAKE_OVER_MS = 5_000

/** How the swarm is started. */
export interface SwarmOptions {
  /** Where messages are kept. */
  readonly url: string
  /** Those that work in this process. */
  readonly agents: readonly AgentName[]
  /** It gives no tasks. */
  readonly serves: boolean
  /** Stretches the simulated work. */
  readonly pace: number
  /** ring tells every so many milliseconds that it is alive. */
  readonly beatMs: number
  readonly tell: (event: Event) => void
  /** Gets reports on tasks of earlier runs. */
  readonly onResumed: (report: Report) => void
}

/** Starts the swarm, or the part of it that works in this process. Rejects when its file or broker cannot be used. */
export async function startSwarm(options: SwarmOptions): Promise<Swarm> {
  const { url, agents, serves, pace, beatMs, tell, onResumed } = options
  const observer = createObserver(tell)
  const startedAt = Date.now()
  const waiting = new Map<string, (report: Report) => void>()
  const bus = await openBus(url, {
    name: nameOf(agents),
    handlerTimeoutMs: LONG_MS,
    // What works on a task now is asked live; what must not be lost are the tasks, the stages done, and the reports.
    channels: {
      ...Object.fromEntries(['coding', 'deploy', 'review', 'monitor', 'status'].map((one) => [one, { kept: false }])),
      agent: { ackWaitMs: TAKE_OVER_MS },
      names: { retention: { maxCount: 1_000 } },
    },
    // What a shutdown leaves behind is told by the report of its task.
    onFailure: (failure) => (failure.reason === 'shutdown' ? undefined : observer.lost(failure)),
    onDeadLetters: ({ text }) => tell({ type: 'note', text: `${text}; see \`swarmbus dead-letters list\`` }),
  })
  // Other processes give tasks to the same swarm, and others may go on with what this one leaves.
  const isShared = bus.stats().wire !== undefined
  const endWatch = watchProcesses(bus, tell)
  const resumed = agentsThere(bus).includes('harold') ? 0 : await unsettled(bus, 'agent.harold')
  if (resumed > 0 && agents.includes('harold'))
    tell({ type: 'note', text: `${tasks(resumed)} of an earlier run ${resumed === 1 ? 'goes' : 'go'} on.` })
  const detach = observer.attach(bus)
  const tools: Tools = {
    bus,
    observer,
    tell,
    startedAt,
    ask: createAsk(bus, observer, tell),
    async work(steps, { signal }) {
      for (const _step of steps) {
        // The reason says why nobody needs the work any more; the timer would only say that it was aborted.
        await sleep(STEP_MS * pace, undefined, { signal }).catch(() => signal.throwIfAborted())
      }
    },
  }
  const you = serves ? undefined : await takeName(bus)
  if (you !== undefined) {
    bus.register(you, {
      handler: ({ to, data }) => {
        if (to !== you) return
        const report = data as Report
        const resolve = waiting.get(report.key)
        waiting.delete(report.key)
        if (resolve === undefined) onResumed(report)
        else resolve(report)
      },
    })
  }
  if (agents.includes('harold')) registerHarold(tools)
  registerWorkers(tools, agents)
  const stopHeartbeat = agents.includes('ring') ? startHeartbeat(bus, beatMs) : () => undefined
  let count = 0
  let closing = false
  let toldOfHarold = false

  /** Keeps the mission for harold, whether he is there or not. */
  const give = async (mission: Mission, { priority, session }: Task): Promise<void> => {
    if (!agentsThere(bus).includes('harold')) {
      bus.declare('harold')
      if (!toldOfHarold) tell({ type: 'note', text: 'harold is not there now: his tasks are kept until he comes.' })
      toldOfHarold = true
    }
    const { key } = mission
    // Tasks of one session are done one after another; without one, each task is a session of its own.
    const about = { from: mission.by, priority, session: session ?? `task-${key}`, idempotencyKey: `task ${key}` }
    for (;;) {
      try {
        await bus.send('harold', mission, about)
        return
      } catch (error) {
        // It may be kept or not; given again, it is kept once.
        if (closing || !isBusError(error, 'PUBLISH_UNKNOWN')) throw error
      }
    }
  }

  return {
    bus,
    observer,
    async submit(given) {
      const { text, deadlineMs } = given
      const key = randomUUID()
      const dueAt = deadlineMs === undefined ? undefined : Date.now() + deadlineMs
      const mission: Mission = { text, task: ++count, key, by: you ?? 'you', about: aboutOf(text), dueAt }
      const reported = new Promise<Report>((resolve) => void waiting.set(key, resolve))
      try {
        await give(mission, given)
        return await reported
      } catch (error) {
        waiting.delete(key)
        return reportFailure(key, text, error)
      }
    },
    async caughtUp() {
      const names = isShared ? [`agent.${you}`] : ['agent.harold', 'agent.you']
      while (!closing && (await unsettled(bus, ...names)) > 0) await sleep(20)
    },
    async close(limitMs) {
      closing = true
      stopHeartbeat()
      const dueMs = performance.now() + limitMs
      while (waiting.size > 0 && performance.now() < dueMs) await sleep(20)
      // What agents have in hand for others is finished; alone, the rest is aborted: the next run goes on with it.
      const leftMs = Math.max(0, dueMs - performance.now())
      await bus.stop({ limitMs: isShared ? leftMs : Math.min(200, leftMs) })
      const isLeft = url !== 'memory:'
      const left = isShared ? waiting.size : isLeft ? await unsettled(bus, 'agent.harold') : 0
      const error = new BusError('BUS_CLOSED', 'the run was stopped')
      for (const [key, resolve] of waiting) resolve({ ...reportFailure(key, '', error), left: isLeft })
      await bus.close({ limitMs: 0 })
      endWatch()
      detach()
      return left
    },
  }
}

/** The name of this process, as others are told it. */
function nameOf(agents: readonly AgentName[]): string {
  if (agents.length === AGENTS.length) return 'incident'
  return agents.length === 0 ? 'incident: no agents' : `incident: ${agents.join(', ')}`
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
