import type { Bus } from '../bus/bus.ts'
import { Ring } from '../kit/ring.ts'
import { agentOf, SYSTEM_ROOT } from '../message/address.ts'
import type { Message } from '../message/message.ts'
import type { SwarmFault } from './fault.ts'

const MOST_FAULTS = 1_000
const MOST_CYCLES = 1_000
const MOST_TOLD = 10_000

/** What went wrong in a swarm: the newest faults, and who is told of them. */
export class FaultBook {
  count = 0
  readonly #bus: Bus
  readonly #isOwn: (name: string) => boolean
  readonly #newest = new Ring<SwarmFault>()
  readonly #listeners = new Set<(fault: SwarmFault) => void>()
  readonly #cycles = new Set<string>()
  /** Messages whose failure is told otherwise. */
  readonly #told = new Set<string>()
  #unhear: () => void = () => undefined

  /** `isOwn` says which names are components of the swarm. */
  constructor(bus: Bus, isOwn: (name: string) => boolean, onFault: ((fault: SwarmFault) => void) | undefined) {
    this.#bus = bus
    this.#isOwn = isOwn
    if (onFault !== undefined) this.#listeners.add(onFault)
  }

  add(fault: SwarmFault): void {
    this.count++
    if (this.#newest.size >= MOST_FAULTS) this.#newest.shift()
    this.#newest.push(fault)
    for (const tell of [...this.#listeners]) {
      try {
        tell(fault)
      } catch {
        // Whoever is told of faults must not make new ones.
      }
    }
  }

  /** Tells of every fault from now on. Returns how to end it. */
  on(tell: (fault: SwarmFault) => void): () => void {
    this.#listeners.add(tell)
    return () => void this.#listeners.delete(tell)
  }

  list(): readonly SwarmFault[] {
    return [...this.#newest]
  }

  /** Tells of a circle once, however often it is run through; `path` are the topics that led to its end. */
  cycle(component: string, event: string, path: readonly string[], hopLimit: number, error: unknown): void {
    const circle = circleOf(path.map((topic) => agentOf(topic) ?? topic))
    const key = JSON.stringify(circle.toSorted())
    if (this.#cycles.has(key) || this.#cycles.size >= MOST_CYCLES) return
    this.#cycles.add(key)
    const way = circle.length === 0 ? `"${component}"` : [...circle, circle[0]].map((one) => `"${one}"`).join(' → ')
    const message = `"${event}" goes round in a circle: ${way}; it was ended after ${hopLimit} hops`
    this.add({ type: 'cycle', component, event, message, error })
  }

  /** Tells of every message that a component could not handle, but for requests, whose requester is told, and what was stopped before. */
  hear(): void {
    const subscription = this.#bus.subscribe(
      `${SYSTEM_ROOT}.message.*`,
      ({ data }) => {
        const { id, name, error, reason, session } = data as Readonly<Record<string, string>>
        if (this.#told.delete(id as string) || !this.#isOwn(name as string)) return
        const message = `"${name}" failed (${reason}): ${error}`
        const place = { component: name as string, event: undefined, ...(session !== undefined && { session }) }
        this.add({ type: 'component', ...place, message, error })
      },
      { name: 'swarm' },
    )
    this.#unhear = () => subscription.unsubscribe()
  }

  /** The failure of this message is told otherwise. */
  told({ id }: Message): void {
    this.#told.add(id)
    if (this.#told.size > MOST_TOLD) this.#told.delete(this.#told.values().next().value as string)
  }

  end(): void {
    this.#unhear()
  }
}

/** The components between the last one and where it stood before: what is run through over and over. */
function circleOf(path: readonly string[]): readonly string[] {
  const last = path.at(-1)
  const before = last === undefined ? -1 : path.lastIndexOf(last, path.length - 2)
  return before < 0 ? [...new Set(path)] : path.slice(before, -1)
}
