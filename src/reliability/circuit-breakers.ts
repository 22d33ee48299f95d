import type { Handler, Middleware } from '../bus/handler.ts'
import { checkOption, checkOptions, whole } from '../kit/check.ts'
import type { Message } from '../message/message.ts'
import { CIRCUIT_RULES, type CircuitBreaker, type CircuitOptions, circuitBreaker } from './circuit-breaker.ts'

/** How the circuits of many dependencies are made. */
export interface CircuitBreakersOptions extends Omit<CircuitOptions, 'name'> {
  /** Most circuits remembered. Default 1 000. */
  readonly limit?: number
}

/** One circuit for each dependency, made when it is first asked for. */
export interface CircuitBreakers {
  readonly size: number
  /** The circuit of a dependency; always the same one while it is remembered. */
  get(name: string): CircuitBreaker
  /** Around handlers, with one circuit for each name that `nameOf` gives (default: the message's topic). */
  middleware(nameOf?: (message: Message) => string): Middleware
  /** Those remembered, the longest unused first. */
  list(): readonly CircuitBreaker[]
}

const { name: _name, ...ONE } = CIRCUIT_RULES
const RULES = { ...ONE, limit: whole(1) }

/**
 * Makes a bounded set of circuits. When it is full, the longest unused circuit that is at rest (closed, without failures or running calls) is forgotten;
 * if none is, the longest unused one: its dependency begins with a closed circuit again.
 */
export function circuitBreakers(options: CircuitBreakersOptions = {}): CircuitBreakers {
  checkOptions('circuitBreakers', options, RULES)
  const { limit = 1_000, ...each } = options
  const all = new Map<string, CircuitBreaker>()

  const makeRoom = (): void => {
    if (all.size < limit) return
    for (const [name, { state, counts }] of all) {
      if (state !== 'closed' || counts.inRow > 0 || counts.running > 0) continue
      all.delete(name)
      return
    }
    const [oldest] = all.keys()
    if (oldest !== undefined) all.delete(oldest)
  }

  const get = (name: string): CircuitBreaker => {
    const known = all.get(name)
    if (known !== undefined) {
      all.delete(name)
      all.set(name, known)
      return known
    }
    const made = circuitBreaker({ ...each, name })
    makeRoom()
    all.set(name, made)
    return made
  }

  return {
    get size() {
      return all.size
    },
    get,
    middleware(nameOf = (message) => message.topic): Middleware {
      checkOption('circuitBreakers.middleware', 'nameOf', nameOf, {
        allowed: 'a function',
        ok: (value) => typeof value === 'function',
      })
      return (next: Handler): Handler =>
        (message, context) =>
          get(nameOf(message)).middleware(next)(message, context)
    },
    list: () => [...all.values()],
  }
}
