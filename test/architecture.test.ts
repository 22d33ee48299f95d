import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { importCycles } from './architecture/cycles.ts'
import { effectFaults } from './architecture/effects.ts'
import { errorTableFaults } from './architecture/errors-table.ts'
import { formFaults, undocumentedExports } from './architecture/exports.ts'
import { floorFaults } from './architecture/floors.ts'
import { sizeFaults } from './architecture/size.ts'
import { ROOT, sourcesIn } from './architecture/source.ts'
import { packagesOf, THIRD_PARTY, thirdPartyFaults } from './architecture/third-party.ts'
import { tagFaults, titlesOf } from './architecture/titles.ts'

const src = sourcesIn('src')
const others = sourcesIn('scripts', 'bench', 'test', 'examples', 'bin')
const DOORS = ['src/index.ts', 'src/testing/index.ts']

/** Fails with one fault a line. */
function expectNone(faults: readonly string[]): void {
  expect(faults, faults.join('\n')).toEqual([])
}

test('a folder imports from lower floors and from itself', () => expectNone(floorFaults(src)))

test('imports make no cycles', () => expectNone(importCycles(src)))

test('no file is longer than 400 lines', () => expectNone(sizeFaults([...src, ...others])))

test('only the listed files import third-party code', () => expectNone(thirdPartyFaults(src)))

test('what the program needs is a dependency with an exact version, every other third-party package an optional peer', () => {
  const { dependencies, peerDependencies, peerDependenciesMeta } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  )
  const listed = packagesOf(THIRD_PARTY)
  expect(Object.keys(dependencies).sort()).toEqual(listed.dependencies)
  expect(Object.values(dependencies).filter((version) => !/^\d+\.\d+\.\d+$/.test(version as string))).toEqual([])
  expect(Object.keys(peerDependencies).sort()).toEqual(listed.optionalPeers)
  expect(listed.optionalPeers.filter((name) => !peerDependenciesMeta[name]?.optional)).toEqual([])
})

test('clock, randomness and timers come from kit/env.ts, nothing logs, and only the program exits, in one file', () =>
  expectNone(effectFaults(src)))

test('docs/errors.md is the error table of the code', async () => {
  const { ERRORS } = await import('../src/kit/errors.ts')
  const path = join(ROOT, 'docs/errors.md')
  expectNone(errorTableFaults(ERRORS, existsSync(path) ? readFileSync(path, 'utf8') : ''))
})

test('every export of a door is documented', () => {
  expectNone(DOORS.filter((door) => !existsSync(join(ROOT, door))).map((door) => `${door}:1 does not exist`))
  expectNone(undocumentedExports(src, DOORS))
})

test('src has no export *, enum, default export or namespace', () => expectNone(formFaults(src)))

test('every id tag in the title of a test is well-formed', () => {
  expectNone(tagFaults([...src, ...others].flatMap(titlesOf)))
})
