import type { Handling } from './handling.ts'

/** `order: "strict"`: of each session the queue has one message, and the others wait in line behind it, whatever their lanes. */
export class StrictLines {
  readonly #lines: Map<string, Handling[]> | undefined

  constructor(isStrict: boolean) {
    this.#lines = isStrict ? new Map() : undefined
  }

  /** True when the message waits in line now. */
  enter(handling: Handling): boolean {
    const { session } = handling.message
    if (session === undefined || this.#lines === undefined) return false
    const line = this.#lines.get(session)
    if (line === undefined) {
      this.#lines.set(session, [])
      return false
    }
    line.push(handling)
    handling.lane.held++
    return true
  }

  has(handling: Handling): boolean {
    return this.#lines?.get(handling.message.session ?? '')?.includes(handling) ?? false
  }

  /** Out of the line; false when it was in none. */
  leave(handling: Handling): boolean {
    const line = this.#lines?.get(handling.message.session ?? '')
    const at = line?.indexOf(handling) ?? -1
    if (at < 0) return false
    line?.splice(at, 1)
    handling.lane.held--
    return true
  }

  /** The message that the queue had of the session is done: the next one, out of the line. */
  next(session: string | undefined): Handling | undefined {
    if (this.#lines === undefined || session === undefined) return undefined
    const next = this.#lines.get(session)?.shift()
    if (next === undefined) this.#lines.delete(session)
    else next.lane.held--
    return next
  }
}
