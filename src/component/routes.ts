/** Where a route comes from: the component's own `to`, what follows from the roles, or a change at run time. */
export type RouteOrigin = 'declared' | 'inferred' | 'changed'

/** Where the output of one component goes. */
export interface Route {
  readonly from: string
  readonly to: readonly string[]
  readonly origin: RouteOrigin
}

const NOWHERE: readonly string[] = Object.freeze([])

interface Entry {
  readonly names: Set<string>
  origin: RouteOrigin
  /** As it is handed out; undefined when it has changed since. */
  view: Route | undefined
}

/** Who sends to whom, by name. What it hands out is frozen, so that a copy is not needed. */
export class RoutingTable {
  readonly #routes = new Map<string, Entry>()

  of(from: string): readonly string[] {
    return this.get(from)?.to ?? NOWHERE
  }

  get(from: string): Route | undefined {
    const entry = this.#routes.get(from)
    return entry === undefined ? undefined : viewOf(from, entry)
  }

  set(from: string, to: readonly string[], origin: RouteOrigin): void {
    this.#routes.set(from, { names: new Set(to), origin, view: undefined })
  }

  /** False when it was there already. */
  add(from: string, to: string): boolean {
    const entry = this.#routes.get(from)
    if (entry === undefined) this.set(from, [to], 'changed')
    else {
      if (entry.names.has(to)) return false
      entry.names.add(to)
      changed(entry)
    }
    return true
  }

  /** False when there was no such route. */
  remove(from: string, to: string): boolean {
    const entry = this.#routes.get(from)
    if (entry?.names.delete(to) !== true) return false
    changed(entry)
    return true
  }

  delete(from: string): void {
    this.#routes.delete(from)
  }

  list(): readonly Route[] {
    return [...this.#routes].map(([from, entry]) => viewOf(from, entry))
  }
}

function viewOf(from: string, entry: Entry): Route {
  entry.view ??= Object.freeze({ from, to: Object.freeze([...entry.names]), origin: entry.origin })
  return entry.view
}

function changed(entry: Entry): void {
  entry.origin = 'changed'
  entry.view = undefined
}
