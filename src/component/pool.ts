import type { Context, Handler } from '../bus/handler.ts'
import { aFlag, aFunction, anObject, aText, checkOption, checkOptions, oneOf, type Rule, whole } from '../kit/check.ts'
import { BusError } from '../kit/errors.ts'
import type { Message } from '../message/message.ts'
import type { Component } from './component.ts'
import type { Behaviour } from './kind.ts'
import { wrapped } from './member.ts'
import { isParts, isThenable } from './parts.ts'
import type { Sessions } from './sessions.ts'
import type { CodeComponent } from './swarm-options.ts'

/** When a pool grows and shrinks. */
export interface ScalingRule {
  /** Default 1. */
  readonly min?: number
  /** Default 1. */
  readonly max?: number
  /** What is counted for each instance: `queue`, messages that came and are not done (default); `connections`, sessions that it serves. */
  readonly metric?: 'queue' | 'connections'
  /** So much of it for each instance makes the pool grow by one; less than half of it, over all, shrink by one. Default 10. */
  readonly threshold?: number
}

/** A component of several instances. */
export interface PoolOptions extends Omit<CodeComponent, 'handle' | 'start' | 'stop' | 'ended'> {
  /** Makes an instance; called when the pool starts or grows. */
  readonly make: (instance: string) => Behaviour | Promise<Behaviour>
  readonly sessions: Sessions
  /** True: a session stays with its instance. Default false: each in turn. */
  readonly stateful?: boolean
  readonly scale?: ScalingRule
}

/** A pool, and what it has now. */
export interface Pool {
  /** For `swarm.add`. */
  readonly component: CodeComponent
  instances(): readonly { readonly name: string; readonly running: number }[]
}

const SCALE_RULES: Readonly<Record<string, Rule>> = {
  min: whole(1),
  max: whole(1, 1_000),
  metric: oneOf(['queue', 'connections']),
  threshold: whole(1),
}

interface Instance {
  readonly name: string
  readonly behaviour: Behaviour
  readonly handle: Handler | undefined
  running: number
  readonly sessions: Set<string>
}

/** How many instances a rule wants, of so many that have so much in hand. */
export function wantedInstances(rule: ScalingRule, instances: number, load: number): number {
  const { min = 1, max = Math.max(1, rule.min ?? 1), threshold = 10 } = rule
  const wanted =
    load >= threshold * instances ? instances + 1 : load * 2 < threshold * instances ? instances - 1 : instances
  return Math.min(max, Math.max(min, wanted))
}

/**
 * Makes a component of several instances: stateful ones keep their sessions, stateless ones take turns, and a rule says how many there
 * are. Throws INVALID_OPTION.
 */
export function componentPool(options: PoolOptions): Pool {
  const { make, sessions, stateful = false, scale = {}, ...component } = options
  checkOption('componentPool', 'name', component.name, aText)
  checkOption('componentPool', 'make', make, aFunction)
  checkOption('componentPool', 'sessions', sessions, anObject)
  checkOption('componentPool', 'stateful', stateful, aFlag)
  checkOptions('componentPool', scale, SCALE_RULES)
  let all: readonly Instance[] = []
  let own: Component | undefined
  let count = 0
  let change: Promise<void> = Promise.resolve()

  const grow = async (): Promise<void> => {
    const name = `${component.name}-${++count}`
    const behaviour = await make(name)
    try {
      if (own !== undefined) await behaviour.start?.(own)
    } catch (error) {
      await behaviour.stop?.(0)
      throw error
    }
    all = [...all, { name, behaviour, handle: wrapped(behaviour), running: 0, sessions: new Set() }]
  }
  const shrink = async (): Promise<void> => {
    for (const one of all) for (const id of one.sessions) if (sessions.get(id) === undefined) one.sessions.delete(id)
    // Only one that has nothing in hand, and for stateful ones no session, may go.
    const spare = all.findLast((one) => one.running === 0 && (!stateful || one.sessions.size === 0))
    if (spare === undefined) return
    all = all.filter((one) => one !== spare)
    await spare.behaviour.stop?.(0)
  }
  const loadOf = (): number =>
    all.reduce((sum, one) => sum + (scale.metric === 'connections' ? one.sessions.size : one.running), 0)
  const adapt = (): void => {
    change = change.then(async () => {
      const wanted = wantedInstances(scale, all.length, loadOf())
      if (wanted > all.length) await grow()
      else if (wanted < all.length) await shrink()
    })
    change = change.catch((error: unknown) => {
      own?.emitSoon('component.error', { error: String(error) }, { route: false })
    })
  }
  const choose = (session: string | undefined): Instance => {
    const living = all.map((one) => one.name)
    const name = sessions.assign(session, component.name, living, stateful)
    const found = all.find((one) => one.name === name)
    if (found === undefined) throw new BusError('UNKNOWN_AGENT', `"${component.name}" has no instance`)
    if (session !== undefined) found.sessions.add(session)
    return found
  }
  const handle = (message: Message, context: Context): unknown => {
    const one = choose(message.session)
    one.running++
    adapt()
    const done = (): void => {
      one.running--
      adapt()
    }
    try {
      const result: unknown = one.handle?.(message, context)
      if (isParts(result)) return poured(result, done)
      if (isThenable(result)) return Promise.resolve(result).finally(done)
      done()
      return result
    } catch (error) {
      done()
      throw error
    }
  }
  return {
    component: {
      ...component,
      handle,
      async start(component) {
        own = component
        for (let index = 0; index < (scale.min ?? 1); index++) await grow()
      },
      async stop(limitMs) {
        await change
        const ending = all
        all = []
        await Promise.all(ending.map(async (one) => one.behaviour.stop?.(limitMs)))
      },
    },
    instances: () => all.map(({ name, running }) => ({ name, running })),
  }
}

async function* poured(parts: AsyncIterable<unknown>, done: () => void): AsyncGenerator<unknown, void, undefined> {
  try {
    yield* parts
  } finally {
    done()
  }
}
