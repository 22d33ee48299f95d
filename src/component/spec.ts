import type { Role } from './role.ts'

// What a component is made from: a declaration of a `.ww` file with its variables and names resolved, or the same written in code.

/** The name of another component as the value of a setting. */
export class Reference {
  readonly name: string

  constructor(name: string) {
    this.name = name
  }

  toString(): string {
    return this.name
  }

  toJSON(): string {
    return this.name
  }
}

/**
 * The value of a setting. A block that has a kind of its own (`memory short_term { … }`) is a component as well: it gets a name, and a
 * reference stands in its place.
 */
export type Setting =
  | string
  | number
  | boolean
  | null
  | Reference
  | readonly Setting[]
  | { readonly [key: string]: Setting }

/** Where something stands in a file, for messages to people. */
export interface Place {
  readonly file: string
  /** 1-based. */
  readonly line: number
  readonly column: number
}

/** One component. */
export interface ComponentSpec {
  readonly name: string
  /** The kind as the catalogue has it: `llm openai`, `memory`. */
  readonly kind: string
  /** What it plays in the swarm. Default: what its kind does. */
  readonly role?: Role
  /** All that stands in its block, but for `to`, hooks and pipes. Keys in the order in which they stand. */
  readonly settings: Readonly<Record<string, Setting>>
  /** Where its output goes: names of components. Undefined: it says nothing, and is inferred; empty: nowhere. */
  readonly to?: readonly string[]
  /** Those of `to` that close a loop on purpose: no fault of the routes, and ended by the hop limit. */
  readonly feedback?: readonly string[]
  /** Events that go to its targets besides those that always do. */
  readonly routes?: readonly string[]
  readonly hooks?: readonly ScriptSpec[]
  readonly pipes?: readonly ScriptSpec[]
  /** Undefined for what was made in code. */
  readonly place?: Place
}

/** A function of a module beside the file, called for an event. */
export interface ScriptSpec {
  readonly event: string
  /** As it stands in the file; found beside it first. */
  readonly script: string
  readonly function: string
  /** A pipe whose failure lets the value pass as it was. Default false: it stops the message. */
  readonly optional?: boolean
  readonly place?: Place
}
