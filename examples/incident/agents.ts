// Who works: pink and red compete for code, the validator checks and reviews, harold rolls out, ring watches.

import type { Bus, Context, Handler, Message, Priority } from 'swarmbus'
import type { Ask } from './crew.ts'
import type { Event, Observer } from './observer.ts'
import {
  code,
  deploy,
  faultOf,
  monitor,
  type Order,
  review,
  rework,
  type Said,
  type Stage,
  type Verdict,
  type Work,
} from './work.ts'

/** What every agent of this swarm has at hand. */
export interface Tools {
  readonly bus: Bus
  readonly observer: Observer
  readonly tell: (event: Event) => void
  /** Wall-clock milliseconds at which this run began: what is older comes from an earlier one. */
  readonly startedAt: number
  /** Simulated work: waits for each step; rejects when the handler's signal is aborted. */
  work(steps: readonly string[], context: Context): Promise<void>
  readonly ask: Ask
}

/** Longest a task without a deadline may take. */
export const LONG_MS = 3_600_000

type Skill = (order: Order, priority: Priority, context: Context) => Promise<Work>

/** One member of the team: what it does with messages to itself, and the pools in which it works. Starting it returns how to end it. */
export interface Member {
  readonly capabilities: readonly string[]
  readonly handle: Handler
  join(): () => void
}

/** Who answers on `status`: every agent but harold, who asks. */
export const ANSWER_STATUS: readonly string[] = ['pink', 'red', 'validator', 'ring']

/** One of those who compete for code. */
export function coder(name: string, tools: Tools): Member {
  return member(name, tools, 'coding', 'coding', writeCode(name, tools), hearHeartbeat)
}

/** Reviews, and sends back a fix that has no test. */
export function validator(name: string, tools: Tools): Member {
  return member(name, tools, 'validation', 'review', plain(name, tools, review), validate(tools))
}

/** Watches. */
export function watcher(name: string, tools: Tools): Member {
  return member(name, tools, 'monitoring', 'monitor', plain(name, tools, monitor), hearHeartbeat)
}

function member(name: string, tools: Tools, capability: string, stage: Stage, skill: Skill, handle: Handler): Member {
  return {
    capabilities: [capability],
    handle,
    join() {
      const leavePool = joinPool(name, tools.bus, stage, skill)
      const leaveStatus = answerStatus(name, tools)
      return () => {
        leavePool()
        leaveStatus()
      }
    },
  }
}

/** harold rolls out himself, whoever asked for it. */
export function joinDeployPool(name: string, tools: Tools): () => void {
  return joinPool(name, tools.bus, 'deploy', plain(name, tools, deploy))
}

function plain(by: string, { work }: Tools, make: (by: string, order: Order) => Work): Skill {
  return async (order, _priority, context) => {
    const made = make(by, order)
    await work(made.steps, context)
    return made
  }
}

/** One group for each pool: every order goes to exactly one of its members, one at a time each. */
function joinPool(name: string, bus: Bus, stage: Stage, skill: Skill): () => void {
  const handler: Handler = (message, context) => skill(message.data as Order, message.priority, context)
  const options = { name, group: `${stage} pool`, concurrency: 1, handlerTimeoutMs: LONG_MS }
  const subscription = bus.subscribe(stage, handler, options)
  return () => subscription.unsubscribe()
}

/** Asks until the validator is content; the validator sends a piece of work back at most once. */
function writeCode(by: string, { ask, work }: Tools): Skill {
  return async (order, priority, context) => {
    let draft = code(by, order, priority)
    await work(draft.steps, context)
    for (;;) {
      // As long as it takes: the order has a deadline, which aborts the signal.
      const limits = { from: by, priority, timeoutMs: LONG_MS, signal: context.signal }
      const verdict = await ask<Verdict>(context.bus, 'agent.validator', draft, limits)
      if (verdict.accepted) return draft
      const before = draft.steps.length
      draft = rework(draft, order.about ?? 'it')
      await work(draft.steps.slice(before), context)
    }
  }
}

function validate({ work }: Tools): Handler {
  return async (message, context): Promise<Verdict | undefined> => {
    if (message.to !== 'validator') return undefined
    const draft = message.data as Work
    await work(['read it'], context)
    const fault = draft.returned === 0 ? faultOf(draft) : undefined
    const text = fault === undefined ? `accepted from ${draft.by}` : `returned: ${fault}`
    return { by: 'validator', accepted: fault === undefined, text }
  }
}

/** Broadcasts reach the inbox of every agent; a heartbeat needs no answer. */
function hearHeartbeat(_message: Message): void {}

function answerStatus(name: string, { bus, observer }: Tools): () => void {
  const answer = (): Said & { readonly by: string } => {
    let sum = 0
    for (const count of observer.byAgent.get(name)?.values() ?? []) sum += count
    return { by: name, text: `${name}: ${sum} handled so far, ${bus.queueSize(name)} in the inbox` }
  }
  const subscription = bus.subscribe('status', answer, { name })
  return () => subscription.unsubscribe()
}
