/** An edge of a graph of names. */
interface Link {
  readonly from: string
  readonly to: string
}

/** A circle: the names in order, and the edge that closes it. */
export interface Cycle<E extends Link> {
  readonly names: readonly string[]
  readonly edge: E
}

/** One circle for each edge that leads back, in the order of the edges; none is told twice. */
export function findCycles<E extends Link>(edges: readonly E[]): readonly Cycle<E>[] {
  const next = new Map<string, E[]>()
  for (const edge of edges) {
    const list = next.get(edge.from)
    if (list === undefined) next.set(edge.from, [edge])
    else list.push(edge)
  }
  const found: Cycle<E>[] = []
  const done = new Set<string>()
  for (const start of next.keys()) {
    if (done.has(start)) continue
    // By hand and not by recursion: a file may have a chain of ten thousand names.
    const path: { readonly name: string; at: number }[] = [{ name: start, at: 0 }]
    const open = new Map([[start, 0]])
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const edge = next.get(top.name)?.[top.at++]
      if (edge === undefined) {
        done.add(top.name)
        open.delete(top.name)
        path.pop()
        continue
      }
      const begin = open.get(edge.to)
      if (begin !== undefined) found.push({ names: path.slice(begin).map(({ name }) => name), edge })
      else if (!done.has(edge.to)) {
        open.set(edge.to, path.length)
        path.push({ name: edge.to, at: 0 })
      }
    }
  }
  return found
}
