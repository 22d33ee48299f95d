import { importsOf, isTest, type Source } from './source.ts'

/** The only files of `src/` that may import anything but their neighbours and Node, and what. */
export const THIRD_PARTY: Readonly<Record<string, readonly string[]>> = {
  'src/message/msgpack.ts': ['@msgpack/msgpack'],
}

/** Imports of packages that the table does not list. */
export function thirdPartyFaults(sources: readonly Source[]): readonly string[] {
  return sources
    .filter((source) => !isTest(source.path))
    .flatMap((source) =>
      importsOf(source)
        .filter(({ specifier, target }) => target === undefined && !specifier.startsWith('node:'))
        .filter(({ specifier }) => !THIRD_PARTY[source.path]?.includes(specifier))
        .map(
          ({ specifier, line }) =>
            `${source.path}:${line} imports ${specifier}, which the third-party table does not list`,
        ),
    )
}
