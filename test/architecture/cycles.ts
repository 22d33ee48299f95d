import { type Import, importsOf, isTest, type Source } from './source.ts'

/** Import cycles, type imports included; each once, from its alphabetically first file. */
export function importCycles(sources: readonly Source[]): readonly string[] {
  const shipped = sources.filter((source) => !isTest(source.path))
  const edges = new Map(shipped.map((source) => [source.path, importsOf(source)]))
  return [...edges.keys()].sort().flatMap((start) => {
    const cycle = shortestCycle(start, edges)
    if (!cycle || cycle.some(({ target }) => (target ?? '') < start)) return []
    const steps = cycle.map(({ target }) => target)
    return [`${start}:${cycle[0]?.line} begins an import cycle: ${[start, ...steps].join(' → ')}`]
  })
}

/** The imports that lead from a file back to it, by breadth first. */
function shortestCycle(start: string, edges: ReadonlyMap<string, readonly Import[]>): readonly Import[] | undefined {
  const seen = new Set<string>()
  let paths: readonly (readonly Import[])[] = [[]]
  while (paths.length > 0) {
    const longer: Import[][] = []
    for (const path of paths) {
      for (const edge of edges.get(path.at(-1)?.target ?? start) ?? []) {
        if (edge.target === start) return [...path, edge]
        if (edge.target === undefined || seen.has(edge.target)) continue
        seen.add(edge.target)
        longer.push([...path, edge])
      }
    }
    paths = longer
  }
  return undefined
}
