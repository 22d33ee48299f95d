import { numberOf } from './checks.ts'
import { Desk, type Office } from './desk.ts'
import { GroupState } from './groups.ts'
import type { ConsumeOptions, GroupInfo } from './log.ts'
import { PlainStep } from './steps.ts'
import type { StoredGroup } from './store.ts'
import type { StreamState } from './streams.ts'

/** The groups of a log. */
export class Desks {
  readonly #office: Office
  readonly #persistent: boolean
  readonly #all = new Map<string, Map<string, Desk>>()

  constructor(office: Office, persistent: boolean) {
    this.#office = office
    this.#persistent = persistent
  }

  restore(stored: StoredGroup, clean: boolean): void {
    const { env, streams } = this.#office
    const stream = streams.ensure(stored.stream)
    const now = { nowMs: env.monotonicMs(), wallMs: env.wallMs() }
    this.#add(stream, GroupState.restored(stored, stream, clean, now, this.#persistent))
  }

  get(stream: string, group: string): Desk | undefined {
    return this.#all.get(stream)?.get(group)
  }

  /** The group, made if there is none. A promise only for one that begins at a time, which the store must look up. */
  ensure(name: string, group: string, from: ConsumeOptions['from']): Desk | Promise<Desk> {
    const found = this.get(name, group)
    if (found !== undefined) return found
    const stream = this.#office.streams.ensure(name)
    if (typeof from === 'object' && 'since' in from) {
      return this.#office.store
        .since(name, from.since)
        .then((start) => this.get(name, group) ?? this.#make(stream, group, Math.max(start, stream.first)))
    }
    return this.#make(stream, group, startOf(stream, from))
  }

  /** False when there was none. */
  async leave(stream: string, group: string): Promise<boolean> {
    const desk = this.get(stream, group)
    if (desk === undefined) return false
    this.#all.get(stream)?.delete(group)
    desk.forget()
    const step = new PlainStep(() => ({ type: 'leave', stream, group }))
    this.#office.committer.must(step)
    return step.outcome
  }

  of(stream: string): Desk[] {
    return [...(this.#all.get(stream)?.values() ?? [])]
  }

  /** All groups, or those of one stream, by stream and name. */
  infos(stream: string | undefined): GroupInfo[] {
    const nowMs = this.#office.env.monotonicMs()
    const names = stream === undefined ? [...this.#all.keys()].sort() : [stream]
    return names.flatMap((name) =>
      this.of(name)
        .sort((a, b) => (a.group < b.group ? -1 : 1))
        .map(({ group, state }) => ({ stream: name, group, ...state.figures(nowMs) })),
    )
  }

  close(): void {
    for (const name of this.#all.keys()) for (const desk of this.of(name)) desk.close()
  }

  #make(stream: StreamState, group: string, start: number): Desk {
    const state = new GroupState({
      stream: stream.name,
      group,
      start,
      next: stream.next,
      persistent: this.#persistent,
    })
    state.create()
    return this.#add(stream, state)
  }

  #add(stream: StreamState, state: GroupState): Desk {
    const desk = new Desk(this.#office, stream, state)
    let ofStream = this.#all.get(stream.name)
    if (ofStream === undefined) this.#all.set(stream.name, (ofStream = new Map()))
    ofStream.set(state.group, desk)
    return desk
  }
}

function startOf(stream: StreamState, from: ConsumeOptions['from'] = 'first'): number {
  if (from === 'first') return stream.first
  if (from === 'now') return stream.next
  const after = 'after' in from ? (numberOf(from.after) as number) : 0
  return Math.min(Math.max(after + 1, stream.first), stream.next)
}
