// One bus and the agents on it, from the first heartbeat to the drain.

import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Bus, BusError, openBus } from 'swarmbus'
import { type LoadedSwarm, loadSwarm, mustBeValid, openSwarm, placeOf } from 'swarmbus/ww'
import { LONG_MS } from './agents.ts'
import { AGENTS, type AgentName, watchProcesses } from './crew.ts'
import type { Report } from './harold.ts'
import type { Task } from './intake.ts'
import { screenKind, tasksKind } from './kinds.ts'
import type { Event, Observer } from './observer.ts'
import { type Team, teamOf, tellOfEarlier, unsettled } from './team.ts'

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

/** What describes the swarm. */
const FILE = fileURLToPath(new URL('main.ww', import.meta.url))

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

/**
 * Starts the swarm of main.ww, or the part of it that works in this process. Rejects when its file or broker cannot be used. Tasks come
 * from `submit`, and `tell` is the screen: the components for both are left out.
 */
export async function startSwarm(options: SwarmOptions): Promise<Swarm> {
  const { url, agents, serves, pace, beatMs, tell, onResumed } = options
  const loaded = await loadSwarm(FILE)
  mustBeValid(loaded)
  let team: Team | undefined
  const bus = await openBus(url, {
    channels: placeOf(loaded, url).options.channels ?? {},
    name: nameOf(agents),
    handlerTimeoutMs: LONG_MS,
    // What a shutdown leaves behind is told by the report of its task.
    onFailure: (failure) => (failure.reason === 'shutdown' ? undefined : team?.tools.observer.lost(failure)),
    onDeadLetters: ({ text }) => tell({ type: 'note', text: `${text}; see \`swarmbus dead-letters list\`` }),
  })
  team = teamOf(bus, () => ({ pace, beatMs, tell, onResumed }))
  const { observer } = team.tools
  // Other processes give tasks to the same swarm, and others may go on with what this one leaves.
  const isShared = bus.stats().wire !== undefined
  const endWatch = watchProcesses(bus, tell)
  if (agents.includes('harold')) await tellOfEarlier(team.tools)
  const detach = observer.attach(bus)
  if (!serves) await team.takePart()
  const run = await openSwarm(
    { ...loaded, specs: specsOf(loaded, agents) },
    { bus, tell: (text) => tell({ type: 'note', text }) },
  )

  return {
    bus,
    observer,
    submit: (task) => team.submit(task),
    caughtUp: () => team.caughtUp(),
    async close(limitMs) {
      team.beginEnd()
      const dueMs = performance.now() + limitMs
      while (team.waiting > 0 && performance.now() < dueMs) await sleep(20)
      // What agents have in hand for others is finished; alone, the rest is aborted: the next run goes on with it.
      const leftMs = Math.max(0, dueMs - performance.now())
      await bus.stop({ limitMs: isShared ? leftMs : Math.min(200, leftMs) })
      const isLeft = url !== 'memory:'
      const left = isShared ? team.waiting : isLeft ? await unsettled(bus, 'agent.harold') : 0
      team.end(new BusError('BUS_CLOSED', 'the run was stopped'), isLeft)
      await run.stop({ limitMs: 0 })
      await bus.close({ limitMs: 0 })
      endWatch()
      detach()
      return left
    },
  }
}

/** Components that `npm start` is itself. */
const OWN_KINDS: readonly string[] = [tasksKind.kind, screenKind.kind]

/** Of the agents those that work in this process, and whatever else the file has. What an agent needs may be in another process. */
function specsOf({ specs }: LoadedSwarm, agents: readonly string[]): LoadedSwarm['specs'] {
  const isAgent = (name: string): boolean => AGENTS.some((one) => one === name)
  return specs
    .filter(({ name, kind }) => !OWN_KINDS.includes(kind) && (!isAgent(name) || agents.includes(name)))
    .map((spec) => (isAgent(spec.name) ? { ...spec, settings: {}, to: [] } : spec))
}

/** The name of this process, as others are told it. */
function nameOf(agents: readonly AgentName[]): string {
  if (agents.length === AGENTS.length) return 'incident'
  return agents.length === 0 ? 'incident: no agents' : `incident: ${agents.join(', ')}`
}
