import { aFlag, aFunction, aText, checkOption, checkOptions } from '../kit/check.ts'
import type { EventFunction, HookOptions, PipeOptions } from './component.ts'

/** A function that was added for an event. */
export interface Watcher {
  readonly type: 'hook' | 'after' | 'pipe' | 'listener'
  readonly pattern: string
  readonly run: EventFunction
  readonly name: string
  readonly optional: boolean
}

/** Who is called for one event, in order. */
export interface Watchers {
  readonly hooks: readonly Watcher[]
  readonly pipes: readonly Watcher[]
  readonly after: readonly Watcher[]
  readonly listeners: readonly Watcher[]
}

const NONE: readonly Watcher[] = Object.freeze([])
const NOBODY: Watchers = Object.freeze({ hooks: NONE, pipes: NONE, after: NONE, listeners: NONE })
const MOST_REMEMBERED = 1_000

const HOOK_RULES = { after: aFlag }
const PIPE_RULES = { name: aText, optional: aFlag }

/** The hooks, pipes and listeners of one component, or of a whole swarm. */
export class EventTable {
  #all: readonly Watcher[] = NONE
  /** Rises with each change. */
  version = 0

  get all(): readonly Watcher[] {
    return this.#all
  }

  on(event: string, run: EventFunction): () => void {
    return this.#add('on', 'listener', event, run, undefined, false)
  }

  hook(event: string, run: EventFunction, options: HookOptions = {}): () => void {
    checkOptions('hook', options, HOOK_RULES)
    return this.#add('hook', options.after === true ? 'after' : 'hook', event, run, undefined, false)
  }

  pipe(event: string, run: EventFunction, options: PipeOptions = {}): () => void {
    checkOptions('pipe', options, PIPE_RULES)
    return this.#add('pipe', 'pipe', event, run, options.name, options.optional === true)
  }

  off(event: string, run: EventFunction): boolean {
    const left = this.#all.filter((one) => one.pattern !== event || one.run !== run)
    if (left.length === this.#all.length) return false
    this.#all = left
    this.version++
    return true
  }

  count(...types: readonly Watcher['type'][]): number {
    return this.#all.filter((one) => types.includes(one.type)).length
  }

  #add(
    verb: string,
    type: Watcher['type'],
    pattern: string,
    run: EventFunction,
    name: string | undefined,
    optional: boolean,
  ): () => void {
    checkOption(verb, 'event', pattern, aText)
    checkOption(verb, 'run', run, aFunction)
    const own: Watcher = {
      type,
      pattern,
      run,
      name: name ?? (run.name === '' ? `${verb} of ${pattern}` : run.name),
      optional,
    }
    this.#all = [...this.#all, own]
    this.version++
    return () => {
      this.#all = this.#all.filter((one) => one !== own)
      this.version++
    }
  }
}

/** Finds who is called for the events of one component: its own first, then those of the swarm. An event nobody watches costs nothing. */
export class EventView {
  readonly #own: EventTable
  readonly #shared: EventTable
  #version = -1
  #found = new Map<string, Watchers>()

  constructor(own: EventTable, shared: EventTable) {
    this.#own = own
    this.#shared = shared
  }

  of(event: string): Watchers {
    const own = this.#own
    const shared = this.#shared
    if (own.all.length === 0 && shared.all.length === 0) return NOBODY
    const version = own.version + shared.version
    if (version !== this.#version || this.#found.size > MOST_REMEMBERED) {
      this.#found.clear()
      this.#version = version
    }
    let found = this.#found.get(event)
    if (found === undefined) {
      found = sorted([...own.all, ...shared.all].filter((one) => isFor(one.pattern, event)))
      this.#found.set(event, found)
    }
    return found
  }
}

function isFor(pattern: string, event: string): boolean {
  if (pattern === event || pattern === '*') return true
  return pattern.endsWith('.*') && event.startsWith(pattern.slice(0, -1))
}

function sorted(all: readonly Watcher[]): Watchers {
  if (all.length === 0) return NOBODY
  const of = (type: Watcher['type']): readonly Watcher[] => all.filter((one) => one.type === type)
  return { hooks: once(of('hook')), pipes: of('pipe'), after: once(of('after')), listeners: once(of('listener')) }
}

/** A function that was added in several ways is called once. */
function once(watchers: readonly Watcher[]): readonly Watcher[] {
  return watchers.filter((one, index) => watchers.findIndex((other) => other.run === one.run) === index)
}

const ROUTED: ReadonlySet<string> = new Set([
  'input_received',
  'input_processed',
  'response_generated',
  'processing_complete',
  'result_ready',
  'output_generated',
  'task_complete',
  'data_processed',
  'input.received',
  'agent.response',
  'tool.observation',
  'component.response',
])
const ENDINGS = ['_generated', '_complete', '_ready', '_processed', '_received']

/** True for the events that go to the targets of whatever component emits them. */
export function isRouted(event: string): boolean {
  return ROUTED.has(event) || ENDINGS.some((ending) => event.endsWith(ending))
}
