import { expect, test } from 'vitest'
import { importCycles } from './cycles.ts'
import { effectFaults } from './effects.ts'
import { floorFaults } from './floors.ts'
import { sizeFaults } from './size.ts'
import { type Source, sourceOf } from './source.ts'
import { packagesOf, thirdPartyFaults } from './third-party.ts'

function files(texts: Readonly<Record<string, string>>): readonly Source[] {
  return Object.entries(texts).map(([path, text]) => sourceOf(path, text))
}

test.each([
  ['src/kit/a.ts', "import type { M } from '../message/m.ts'", 'kit is on floor 0, message on floor 1'],
  ['src/log/a.ts', "import { w } from '../wire/w.ts'", 'log is on floor 2, wire on floor 2'],
  ['src/bus/a.ts', "import { b } from './b'", 'a relative import ends in .ts'],
  ['src/bus/a.ts', "import { b } from './b.js'", 'a relative import ends in .ts'],
  ['src/bus/a.ts', "import { b } from './index.ts'", 'index.ts is a door'],
  ['src/bus/a.ts', "import { b } from '../index.ts'", 'index.ts is a door'],
  ['src/bus/a.ts', "import { b } from '../../test/b.ts'", 'the target lies on no floor'],
  ['src/misc/a.ts', '', 'lies on no floor'],
  ['src/loose.ts', '', 'lies on no floor'],
])('the floor guard finds it: %s, %s', (path, text, fault) => {
  const faults = floorFaults(files({ [path]: text }))
  expect(faults).toHaveLength(1)
  expect(faults[0]).toContain(`${path}:1`)
  expect(faults[0]).toContain(fault)
})

test('the floor guard lets imports go down, stay, and leave by the door', () => {
  const good = files({
    'src/bus/a.ts': "import { m } from '../message/m.ts'\nimport { b } from './b.ts'\nimport fs from 'node:fs'",
    'src/index.ts': "export { a } from './bus/a.ts'",
    'src/kit/ring.test.ts': "import { fakeEnv } from '../testing/fake-env.ts'",
  })
  expect(floorFaults(good)).toEqual([])
})

test('the cycle guard finds a cycle, types included, and names its files once', () => {
  const cycle = files({
    'src/bus/a.ts': "\nimport { b } from './b.ts'",
    'src/bus/b.ts': "import type { C } from './c.ts'",
    'src/bus/c.ts': "import { a } from './a.ts'\nimport { d } from './d.ts'",
    'src/bus/d.ts': '',
    'src/bus/self.ts': "import { self } from './self.ts'",
  })
  expect(importCycles(cycle)).toEqual([
    'src/bus/a.ts:2 begins an import cycle: src/bus/a.ts → src/bus/b.ts → src/bus/c.ts → src/bus/a.ts',
    'src/bus/self.ts:1 begins an import cycle: src/bus/self.ts → src/bus/self.ts',
  ])
})

test('the size guard counts lines of all but the tests in src', () => {
  const lines = (count: number): string => 'x\n'.repeat(count)
  expect(sizeFaults(files({ 'src/bus/a.ts': lines(400), 'src/bus/a.test.ts': lines(900) }))).toEqual([])
  expect(sizeFaults(files({ 'src/bus/a.ts': lines(401), 'test/a.test.ts': lines(402) }))).toEqual([
    'src/bus/a.ts:401 is too long: 401 lines, at most 400; split it',
    'test/a.test.ts:401 is too long: 402 lines, at most 400; split it',
  ])
})

test('the third-party guard finds packages, and knows which file may import which', () => {
  const found = thirdPartyFaults(
    files({
      'src/message/msgpack.ts': "import { encode } from '@msgpack/msgpack'",
      'src/message/codec.ts': "\nimport { encode } from '@msgpack/msgpack'",
      'src/bus/a.ts': "const z = await import('zod')\nimport fs from 'fs'\nimport 'swarmbus'",
      'src/bus/a.test.ts': "import { test } from 'vitest'",
      'src/cli/commands/a.ts': "import { Command } from 'commander'\nimport { encode } from '@msgpack/msgpack'",
      'src/clip.ts': "import { Command } from 'commander'",
    }),
  )
  expect(found.map((fault) => fault.split(', which')[0])).toEqual([
    'src/message/codec.ts:2 imports @msgpack/msgpack',
    'src/bus/a.ts:1 imports zod',
    'src/bus/a.ts:2 imports fs',
    'src/bus/a.ts:3 imports swarmbus',
    'src/cli/commands/a.ts:2 imports @msgpack/msgpack',
    'src/clip.ts:1 imports commander',
  ])
})

test('packages of the program are dependencies, those of the library optional peers', () => {
  expect(packagesOf({ 'src/cli/': ['b', 'a'], 'src/cli/x.ts': ['c'], 'src/log/y.ts': ['d'] })).toEqual({
    dependencies: ['a', 'b', 'c'],
    optionalPeers: ['d'],
  })
})

test.each([
  'Date.now()',
  'Date . now',
  'new Date()',
  'new Date',
  'performance.now()',
  'Math.random()',
  'crypto.randomUUID()',
  'globalThis.crypto.getRandomValues(b)',
  "import { randomBytes } from 'node:crypto'",
  'setTimeout(f, 1)',
  'globalThis.setInterval(f, 1)',
  'const later = setImmediate',
  'process.exit(1)',
  'console.log(1)',
  '`${Date.now()}`',
  "import { setTimeout as sleep } from 'node:timers/promises'",
])('the effect guard finds: %s', (text) => {
  const faults = effectFaults(files({ 'src/bus/a.ts': `\n${text}` }))
  expect(faults.length).toBeGreaterThan(0)
  expect(faults[0]).toMatch(/^src\/bus\/a\.ts:2 /)
})

test('the effect guard lets kit/env.ts, tests, comments and given times be, but nobody log', () => {
  const good = files({
    'src/kit/env.ts': 'Date.now(); setTimeout(f, 1); Math.random()',
    'src/bus/a.ts': "// Date.now()\nconst s = 'setTimeout'\nnew Date(ms)\nclearTimeout(t)",
    'src/bus/a.test.ts': 'Date.now()',
    'src/cli/io.ts': 'process.exit(1)',
  })
  expect(effectFaults(good)).toEqual([])
  expect(effectFaults(files({ 'src/cli/io.ts': 'Date.now()', 'src/cli/run.ts': 'process.exit(1)' }))).toEqual([
    'src/cli/io.ts:1 uses Date.now: take it from the injected Env (src/kit/env.ts)',
    'src/cli/run.ts:1 uses process.exit: a library never exits',
  ])
  expect(effectFaults(files({ 'src/kit/env.ts': 'console.warn(1)' }))).toEqual([
    'src/kit/env.ts:1 uses console: a library never logs',
  ])
})
