import type { GroupOp, LeaveOp, OpenEntry, StoredGroup } from './store.ts'

interface Group {
  op: GroupOp
  readonly done: Set<number>
  readonly open: Map<number, OpenEntry>
}

/** What groups know, kept as a store on disk keeps it. */
export class MemoryGroups {
  readonly #streams = new Map<string, Map<string, Group>>()

  apply(op: GroupOp | LeaveOp): void {
    let groups = this.#streams.get(op.stream)
    if (groups === undefined) this.#streams.set(op.stream, (groups = new Map()))
    if (op.type === 'leave') {
      groups.delete(op.group)
      return
    }
    let group = groups.get(op.group)
    if (group === undefined) groups.set(op.group, (group = { op, done: new Set(), open: new Map() }))
    const before = group.op.position
    group.op = op
    for (const offset of op.done) group.done.add(offset)
    if (op.position > before && group.done.size > 0) {
      for (const offset of group.done) if (offset < op.position) group.done.delete(offset)
    }
    for (const offset of op.closed) group.open.delete(offset)
    for (const open of op.open) group.open.set(open.offset, open)
  }

  list(): StoredGroup[] {
    return [...this.#streams.values()].flatMap((groups) =>
      [...groups.values()].map(({ op, done, open }) => {
        const { stream, group, start, position, counts, begun } = op
        const kept = [...done].filter((offset) => offset >= position)
        return { stream, group, start, position, counts, done: kept, open: [...open.values()], begun }
      }),
    )
  }
}
