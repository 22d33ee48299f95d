import { importsOf, isTest, type Source } from './source.ts'

/** The folders of `src/` and their floors: a folder imports from lower floors and from itself. */
export const FLOORS: Readonly<Record<string, number>> = {
  kit: 0,
  message: 1,
  broker: 1,
  log: 2,
  wire: 2,
  lease: 2,
  bus: 3,
  reliability: 4,
  session: 4,
  observe: 4,
  testing: 4,
  command: 5,
  worker: 5,
  agent: 5,
  provider: 5,
  component: 6,
  config: 7,
  gateway: 7,
  federation: 7,
  dashboard: 7,
  node: 8,
  cli: 9,
}

/** Imports that go up or sideways, pass through a door, or lack their `.ts`. */
export function floorFaults(sources: readonly Source[]): readonly string[] {
  return sources.flatMap((source) => [
    ...placeFaults(source),
    ...importsOf(source).flatMap(({ specifier, target, line }) => {
      if (target === undefined) return []
      const at = `${source.path}:${line} imports ${specifier}`
      if (!target.endsWith('.ts')) return [`${at}: a relative import ends in .ts`]
      if (isTest(source.path)) return []
      return importFault(source.path, target).map((fault) => `${at}: ${fault}`)
    }),
  ])
}

function placeFaults(source: Source): readonly string[] {
  if (source.path === 'src/index.ts' || floorOf(source.path) !== undefined) return []
  return [`${source.path}:1 lies on no floor: put it into a folder of the floor table`]
}

function importFault(from: string, target: string): readonly string[] {
  if (/(^|\/)index\.ts$/.test(target)) return ['index.ts is a door for outsiders: import the file itself']
  if (from === 'src/index.ts') return []
  const own = floorOf(from)
  const other = floorOf(target)
  if (other === undefined) return ['the target lies on no floor']
  if (own === undefined || folderOf(from) === folderOf(target) || other < own) return []
  return [`${folderOf(from)} is on floor ${own}, ${folderOf(target)} on floor ${other}: imports go down`]
}

function folderOf(path: string): string {
  return /^src\/([^/]+)\//.exec(path)?.[1] ?? ''
}

function floorOf(path: string): number | undefined {
  return FLOORS[folderOf(path)]
}
