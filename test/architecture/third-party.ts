import { importsOf, isTest, type Source } from './source.ts'

/** The folder of the program. It is the one part that must work after `npm install swarmbus` alone. */
const PROGRAM = 'src/cli/'

/** The only files of `src/`, or folders that end in `/`, that may import anything but their neighbours and Node, and what. */
export const THIRD_PARTY: Readonly<Record<string, readonly string[]>> = {
  'src/message/msgpack.ts': ['@msgpack/msgpack'],
  'src/broker/redis/': ['redis'],
  'src/broker/nats/': ['@nats-io/transport-node'],
  'src/log/jetstream/': ['@nats-io/jetstream'],
  'src/component/kinds/net/sockets.ts': ['ws'],
  'src/component/kinds/mcp/connect.ts': ['@modelcontextprotocol/client', '@modelcontextprotocol/client/stdio'],
  [PROGRAM]: ['commander'],
}

/** The packages of the table: what the program needs is a dependency, everything else an optional peer. */
export function packagesOf(table: Readonly<Record<string, readonly string[]>>): {
  readonly dependencies: readonly string[]
  readonly optionalPeers: readonly string[]
} {
  const all = (wanted: boolean): readonly string[] =>
    [
      ...new Set(
        Object.entries(table).flatMap(([path, names]) =>
          path.startsWith(PROGRAM) === wanted ? names.map(packageOf) : [],
        ),
      ),
    ].sort()
  return { dependencies: all(true), optionalPeers: all(false) }
}

/** `@scope/name/door` is a door of `@scope/name`. */
function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** Imports of packages that the table does not list. */
export function thirdPartyFaults(sources: readonly Source[]): readonly string[] {
  return sources
    .filter((source) => !isTest(source.path))
    .flatMap((source) =>
      importsOf(source)
        .filter(({ specifier, target }) => target === undefined && !specifier.startsWith('node:'))
        .filter(({ specifier }) => !allowedIn(source.path).includes(specifier))
        .map(
          ({ specifier, line }) =>
            `${source.path}:${line} imports ${specifier}, which the third-party table does not list`,
        ),
    )
}

function allowedIn(path: string): readonly string[] {
  return Object.entries(THIRD_PARTY).flatMap(([place, names]) =>
    place === path || (place.endsWith('/') && path.startsWith(place)) ? names : [],
  )
}
