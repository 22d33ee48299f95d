// Who works: pink and red compete for code, the validator checks and reviews, harold rolls out, ring watches.

import type { Agent, Bus, Context, Handler, Message, Priority } from 'swarmbus'
import type { AgentName, Ask } from './crew.ts'
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

/** Registers those of the agents that work in this process. harold is registered by his own file. */
export function registerWorkers(tools: Tools, names: readonly AgentName[]): void {
  const { bus, work } = tools
  const plain =
    (by: string, make: (by: string, order: Order) => Work): Skill =>
    async (order, _priority, context) => {
      const made = make(by, order)
      await work(made.steps, context)
      return made
    }
  for (const name of ['pink', 'red'] as const) {
    if (!names.includes(name)) continue
    const agent = bus.register(name, { capabilities: ['coding'], handler: hearHeartbeat })
    joinPool(agent, 'coding', coder(name, tools))
    answerStatus(agent, tools)
  }
  if (names.includes('validator')) {
    const validator = bus.register('validator', { capabilities: ['validation'], handler: validate(tools) })
    joinPool(validator, 'review', plain('validator', review))
    answerStatus(validator, tools)
  }
  if (names.includes('ring')) {
    const ring = bus.register('ring', { capabilities: ['monitoring'], handler: hearHeartbeat })
    joinPool(ring, 'monitor', plain('ring', monitor))
    answerStatus(ring, tools)
  }
}

/** Who answers on `status`: every agent but harold, who asks. */
export const ANSWER_STATUS: readonly string[] = ['pink', 'red', 'validator', 'ring']

/** harold rolls out himself, whoever asked for it. */
export function joinDeployPool(harold: Agent, { work }: Tools): void {
  const skill: Skill = async (order, _priority, context) => {
    const made = deploy('harold', order)
    await work(made.steps, context)
    return made
  }
  // He gives most of these orders himself, and would not get his own without `echo`.
  joinPool(harold, 'deploy', skill, { echo: true })
}

/** One group for each pool: every order goes to exactly one of its members, one at a time each. */
function joinPool(agent: Agent, stage: Stage, skill: Skill, options: { readonly echo?: boolean } = {}): void {
  const handler: Handler = (message, context) => skill(message.data as Order, message.priority, context)
  agent.subscribe(stage, handler, { ...options, group: `${stage} pool`, concurrency: 1 })
}

/** Asks until the validator is content; the validator sends a piece of work back at most once. */
function coder(by: string, { ask, work }: Tools): Skill {
  return async (order, priority, context) => {
    let draft = code(by, order, priority)
    await work(draft.steps, context)
    for (;;) {
      // As long as it takes: the order has a deadline, which aborts the signal.
      const limits = { priority, timeoutMs: LONG_MS, signal: context.signal }
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

function answerStatus(agent: Agent, { bus, observer }: Tools): void {
  const { name } = agent
  agent.subscribe('status', (): Said & { readonly by: string } => {
    let sum = 0
    for (const count of observer.byAgent.get(name)?.values() ?? []) sum += count
    return { by: name, text: `${name}: ${sum} handled so far, ${bus.queueSize(name)} in the inbox` }
  })
}
