// The kinds of main.ww: each agent is a component, made here out of what its own file says that it does.

import { defineKind, type KeyRule, type KindDefinition, type MakeContext } from 'swarmbus/component'
import { coder, type Member, type Tools, validator, watcher } from './agents.ts'
import { watchProcesses } from './crew.ts'
import { lead, type Report } from './harold.ts'
import { BadInput, parseTask } from './intake.ts'
import type { Event } from './observer.ts'
import { eventLine, headLine } from './screen.ts'
import { Tally } from './summary.ts'
import { type Team, teamOf, tellOfEarlier } from './team.ts'

/** Without a program around it the file has a plain look: no colours, and the width of a page. */
const LOOK = { width: 100, colours: false }
/** Tasks in hand at once; reading waits for room. */
const MOST_OPEN = 1_000

/** Who watches the screen of a bus, and what was told before anybody did. */
interface Screen {
  readonly early: Event[]
  show: ((event: Event) => void) | undefined
}
const screens = new WeakMap<Team['tools']['bus'], Screen>()

function screenOf(bus: Tools['bus']): Screen {
  const known = screens.get(bus) ?? { early: [], show: undefined }
  screens.set(bus, known)
  return known
}

/** The team of a file that is run alone: events go to its screen. */
function teamIn({ bus }: MakeContext): Team {
  return teamOf(bus, () => {
    const screen = screenOf(bus)
    const tell = (event: Event): void => {
      if (screen.show === undefined) screen.early.push(event)
      else screen.show(event)
    }
    const onResumed = ({ mission, text }: Report): void =>
      tell({ type: 'note', text: `An earlier run: ${mission}: ${text}` })
    return { pace: 1, beatMs: undefined, tell, onResumed }
  })
}

const TEAM: KeyRule = { type: 'references', roles: ['agent'], summary: 'who works for it, and is there first' }
const VALIDATOR: KeyRule = { type: 'reference', roles: ['agent'], summary: 'who looks at its code' }

function agentKind(
  kind: string,
  summary: string,
  keys: Readonly<Record<string, KeyRule>>,
  make: (name: string, tools: Tools) => Member,
): KindDefinition {
  return defineKind({
    kind,
    role: 'agent',
    summary,
    keys,
    make(spec, context) {
      const { tools } = teamIn(context)
      const { handle, capabilities, join } = make(spec.name, tools)
      let leave = (): void => undefined
      return {
        handle,
        capabilities,
        handlerTimeoutMs: 3_600_000,
        start() {
          leave = join()
        },
        stop: () => leave(),
      }
    },
  })
}

/** Takes tasks through the team. */
export const leadKind = agentKind('incident lead', 'is in charge', { team: TEAM }, lead)
/** Writes code. */
export const coderKind = agentKind('incident coder', 'writes code', { validator: VALIDATOR }, coder)
/** Looks at code. */
export const validatorKind = agentKind('incident validator', 'looks at code', {}, validator)

/** Watches, and tells everybody that the swarm is alive. */
export const watchKind = defineKind({
  kind: 'incident watch',
  role: 'agent',
  summary: 'watches',
  keys: { beat: { type: 'duration', min: 0.1, default: 1, summary: 'how often it says that the swarm is alive' } },
  make(spec, context) {
    const { tools, options } = teamIn(context)
    const { handle, capabilities, join } = watcher(spec.name, tools)
    let ends: readonly (() => void)[] = []
    return {
      handle,
      capabilities,
      start() {
        const beatMs = options.beatMs ?? Number(spec.settings.beat ?? 1) * 1_000
        ends = [join(), startHeartbeat(tools.bus, spec.name, beatMs)]
      },
      pause: () => ends[1]?.(),
      stop() {
        for (const end of ends) end()
      },
    }
  },
})

/** Reads tasks, a line each, and gives them to its target. */
export const tasksKind = defineKind({
  kind: 'incident tasks',
  role: 'input',
  summary: 'reads tasks',
  keys: {},
  make(_spec, context) {
    const team = teamIn(context)
    const { tell } = team.tools
    const tally = new Tally()
    const stopped = Promise.withResolvers<void>()
    const open = new Set<Promise<void>>()
    let ended: Promise<void> | undefined
    async function read(): Promise<void> {
      const { interactive } = context.terminal
      if (interactive)
        tell({
          type: 'note',
          text: 'One task a line; exit ends. For example: critical 30s: Production is down: fix auth',
        })
      let number = 0
      for await (const text of context.terminal.lines()) {
        const where = `line ${++number}`
        if (text.trim() === 'exit') break
        if (interactive && text.trim() === '') continue
        try {
          const task = parseTask(text)
          tally.accept()
          const one: Promise<void> = team.submit(task).then((report) => {
            tally.settle(where, task, report)
            open.delete(one)
          })
          open.add(one)
        } catch (error) {
          if (!(error instanceof BadInput)) throw error
          tally.refuse(where, error.message)
          tell({ type: 'refused', where, reason: error.message })
        }
        if (open.size >= MOST_OPEN) await Promise.race(open)
      }
      await Promise.all(open)
      await team.caughtUp()
      for (const line of tally.lines()) tell({ type: 'note', text: line })
    }
    return {
      // Broadcasts reach every component; a heartbeat needs no answer.
      handle: () => undefined,
      get ended() {
        return ended ?? Promise.resolve()
      },
      async start() {
        await tellOfEarlier(team.tools)
        await team.takePart()
        ended = Promise.race([read(), stopped.promise])
        ended.catch(() => undefined)
      },
      pause() {
        team.beginEnd()
        stopped.resolve()
      },
      stop() {
        stopped.resolve()
        team.end(new Error('the run was stopped'), true)
      },
    }
  },
})

/** Shows a line for each message. */
export const screenKind = defineKind({
  kind: 'incident screen',
  role: 'output',
  summary: 'shows messages',
  keys: {},
  make(_spec, context) {
    const { bus, terminal } = context
    const { tools } = teamIn(context)
    const screen = screenOf(bus)
    let ends: readonly (() => void)[] = []
    return {
      handle: () => undefined,
      start() {
        terminal.write(`${headLine(LOOK)}\n`)
        const show = (event: Event): void => terminal.write(`${eventLine(event, LOOK)}\n`)
        for (const event of screen.early.splice(0)) show(event)
        screen.show = show
        ends = [tools.observer.attach(bus), watchProcesses(bus, tools.tell)]
      },
      stop() {
        for (const end of ends) end()
      },
    }
  },
})

/** Says at once, then every `beatMs`, that the swarm is alive; at the lowest priority, to everybody. */
function startHeartbeat(bus: Tools['bus'], name: string, beatMs: number): () => void {
  const beat = (): void => {
    const { queued, concurrency } = bus.stats()
    const text = `heartbeat: ${concurrency.active} at work, ${queued} waiting`
    // Refused only while the bus closes; then nobody needs it.
    bus.broadcast({ text, by: name }, { from: name, priority: 'background' }).catch(() => undefined)
  }
  beat()
  const timer = setInterval(beat, beatMs)
  return () => clearInterval(timer)
}
