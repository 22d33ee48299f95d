// What the agents of one bus have in common: the observer, the screen, the pace, and who gives tasks. Made by whoever needs it first.

import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bus, isBusError } from 'swarmbus'
import type { Tools } from './agents.ts'
import { agentsThere, createAsk, takeName } from './crew.ts'
import { type Mission, type Report, reportFailure } from './harold.ts'
import type { Task } from './intake.ts'
import { createObserver, type Event } from './observer.ts'
import { aboutOf } from './work.ts'

/** What a run says of itself before its agents start. */
export interface TeamOptions {
  /** Stretches the simulated work. */
  readonly pace: number
  /** ring tells every so many milliseconds that it is alive; undefined: as the file says. */
  readonly beatMs: number | undefined
  readonly tell: (event: Event) => void
  /** Gets reports on tasks of earlier runs. */
  readonly onResumed: (report: Report) => void
}

export interface Team {
  readonly tools: Tools
  readonly options: TeamOptions
  /** Takes a name under which reports come, and hears them from then on. */
  takePart(): Promise<void>
  /** Gives a task to whoever is in charge. Resolves with what became of it; never rejects. */
  submit(task: Task): Promise<Report>
  /** Resolves when no task of an earlier run is left, as far as this process knows of them. */
  caughtUp(): Promise<void>
  /** Tasks that were given and are not reported on. */
  readonly waiting: number
  /** No further task is given; those that wait are told so, as left for the next run or not. */
  end(reason: Error, left: boolean): void
  beginEnd(): void
}

/** Milliseconds that one step of work takes at the ordinary pace. */
const STEP_MS = 30
const teams = new WeakMap<Bus, Team>()

/** The team of a bus. Options count only for who asks first. */
export function teamOf(bus: Bus, options: () => TeamOptions): Team {
  const known = teams.get(bus)
  if (known !== undefined) return known
  const team = createTeam(bus, options())
  teams.set(bus, team)
  return team
}

function createTeam(bus: Bus, options: TeamOptions): Team {
  const { pace, tell, onResumed } = options
  const observer = createObserver(tell)
  const waiting = new Map<string, (report: Report) => void>()
  // Other processes give tasks to the same swarm.
  const isShared = bus.stats().wire !== undefined
  let you: string | undefined
  let count = 0
  let closing = false
  let toldOfLead = false
  const tools: Tools = {
    bus,
    observer,
    tell,
    startedAt: Date.now(),
    ask: createAsk(bus, observer, tell),
    async work(steps, { signal }) {
      for (const _step of steps) {
        // The reason says why nobody needs the work any more; the timer would only say that it was aborted.
        await sleep(STEP_MS * pace, undefined, { signal }).catch(() => signal.throwIfAborted())
      }
    },
  }

  /** Keeps the mission for harold, whether he is there or not. */
  const give = async (mission: Mission, { priority, session }: Task): Promise<void> => {
    if (!agentsThere(bus).includes('harold')) {
      bus.declare('harold')
      if (!toldOfLead) tell({ type: 'note', text: 'harold is not there now: his tasks are kept until he comes.' })
      toldOfLead = true
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
    tools,
    options,
    async takePart() {
      const name = await takeName(bus)
      you = name
      bus.register(name, {
        handler: ({ to, data }) => {
          if (to !== name) return
          const report = data as Report
          const resolve = waiting.get(report.key)
          waiting.delete(report.key)
          if (resolve === undefined) onResumed(report)
          else resolve(report)
        },
      })
    },
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
    get waiting() {
      return waiting.size
    },
    beginEnd() {
      closing = true
    },
    end(reason, left) {
      for (const [key, resolve] of waiting) resolve({ ...reportFailure(key, '', reason), left })
      waiting.clear()
    },
  }
}

/** Messages in some channels that are not settled. */
export async function unsettled(bus: Bus, ...names: readonly string[]): Promise<number> {
  let sum = 0
  for (const { name, ledger } of await bus.channels()) {
    const { pending, leased, delayed, held } = ledger
    if (names.includes(name)) sum += pending + leased + delayed + held
  }
  return sum
}

/** Says how many tasks an earlier run left behind. */
export async function tellOfEarlier({ bus, tell }: Pick<Tools, 'bus' | 'tell'>): Promise<void> {
  const count = await unsettled(bus, 'agent.harold')
  if (count === 0) return
  tell({
    type: 'note',
    text: `${count} task${count === 1 ? '' : 's'} of an earlier run ${count === 1 ? 'goes' : 'go'} on.`,
  })
}
