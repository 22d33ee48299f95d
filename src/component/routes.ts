/** Where a route comes from: the component's own `to`, what follows from the roles, or a change at run time. */
export type RouteOrigin = 'declared' | 'inferred' | 'changed'

/** Where the output of one component goes. */
export interface Route {
  readonly from: string
  readonly to: readonly string[]
  readonly origin: RouteOrigin
}

const NOWHERE: readonly string[] = Object.freeze([])

/** Who sends to whom, by name. What it hands out is frozen, so that a copy is not needed. */
export class RoutingTable {
  readonly #routes = new Map<string, Route>()

  of(from: string): readonly string[] {
    return this.#routes.get(from)?.to ?? NOWHERE
  }

  get(from: string): Route | undefined {
    return this.#routes.get(from)
  }

  set(from: string, to: readonly string[], origin: RouteOrigin): void {
    this.#routes.set(from, Object.freeze({ from, to: Object.freeze([...new Set(to)]), origin }))
  }

  /** False when it was there already. */
  add(from: string, to: string): boolean {
    const now = this.of(from)
    if (now.includes(to)) return false
    this.set(from, [...now, to], 'changed')
    return true
  }

  /** False when there was no such route. */
  remove(from: string, to: string): boolean {
    const now = this.of(from)
    if (!now.includes(to)) return false
    this.set(
      from,
      now.filter((one) => one !== to),
      'changed',
    )
    return true
  }

  delete(from: string): void {
    this.#routes.delete(from)
  }

  list(): readonly Route[] {
    return [...this.#routes.values()]
  }
}
