import { expect, test } from 'vitest'
import { declare, folderWith, startKinds } from '../../../../test/support/kinds.ts'
import { argumentsFor } from './functions.ts'
import { toolOf } from './schema.ts'
import { signatureOf } from './signature.ts'

const MODULE = `
import { join } from 'node:path'

// export function ghost(a) {}
const text = "export function ghostly(a) {}"

/**
 * Adds two numbers,
 * exactly.
 * @param a - the first
 * @param {number} b the second
 * @returns the sum
 */
export function add(a: number, b: number = 1): number {
  return a + b
}

/** Finds people. */
export async function find({ name, city = 'Kiel', age }: { name: string; city?: string; readonly age?: number }) {
  return { name, city, age }
}

export const shout = async (words: string[], mark: '!' | '?' = '!') => words.join(' ').toUpperCase() + mark
export function collect(first: string, ...rest: readonly string[]) { return [first, ...rest] }
export function now(): void {}
export const quiet = value => value
export function tricky(pattern = "a, b) => { c", map: Map<string, number> = new Map(), last?: { a: string, b: number }) { return [pattern, last] }
export class Ignored {}
export const number = 5
export default function () {}
`

const started = async (settings = {}) => {
  const folder = await folderWith({
    'tools.ts': MODULE,
    'tools.mjs': MODULE.replace(/: number\b|: void|: string\[\]|: string\b/g, ''),
  })
  const run = await startKinds(
    [declare('calc', 'api functions', { path: 'tools.ts', ...settings }), declare('x', 'memory short_term')],
    {
      folder: folder.path,
    },
  )
  const x = run.swarm.component('x')
  return {
    call: (action: string, inputs: Readonly<Record<string, unknown>> = {}) => x.request('calc', { action, inputs }),
    x,
    [Symbol.asyncDispose]: async () => {
      await run[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

test('[W72] exported functions are called with their inputs by name', async () => {
  await using run = await started()
  expect(await run.call('add', { b: 3, a: 2 })).toBe(5)
  expect(await run.call('add', { a: 2 })).toBe(3)
  expect(await run.call('find', { name: 'Ann' })).toEqual({ name: 'Ann', city: 'Kiel' })
  expect(await run.call('shout', { words: ['hi', 'you'], mark: '?' })).toBe('HI YOU?')
  expect(await run.call('collect', { first: 'a', rest: ['b', 'c'] })).toEqual(['a', 'b', 'c'])
  expect(await run.call('quiet', { value: [1] })).toEqual([1])
  expect(await run.call('now')).toBeNull()
})

test('[W72] their signatures describe them: types, defaults, comments', () => {
  const tool = (name: string) =>
    toolOf(
      name,
      signatureOf(name, MODULE, () => undefined),
    )
  expect(tool('add')).toEqual({
    name: 'add',
    summary: 'Adds two numbers, exactly.',
    inputs: {
      type: 'object',
      properties: {
        a: { type: 'number', description: 'the first' },
        b: { type: 'number', description: 'the second', default: 1 },
      },
      required: ['a'],
      additionalProperties: false,
    },
  })
  expect(tool('find').inputs).toMatchObject({
    properties: { name: { type: 'string' }, city: { type: 'string', default: 'Kiel' }, age: { type: 'number' } },
    required: ['name'],
  })
  expect(tool('shout')).toMatchObject({
    summary: 'calls shout(words, mark)',
    inputs: {
      properties: { words: { type: 'array', items: { type: 'string' } }, mark: { enum: ['!', '?'], default: '!' } },
    },
  })
  expect(tool('collect').inputs).toMatchObject({ properties: { rest: { type: 'array' } }, required: ['first'] })
  const quiet = toolOf(
    'quiet',
    signatureOf('quiet', MODULE, (value: string) => value),
  )
  expect(quiet.inputs).toMatchObject({ properties: { value: {} }, required: ['value'] })
  expect(tool('tricky').inputs).toMatchObject({
    properties: { pattern: { type: 'string', default: 'a, b) => { c' }, map: {}, last: { type: 'object' } },
    required: [],
  })
})

test('[W72] a function that does not stand in the text of its module is described by itself', () => {
  const run = Function('return async (one, two = 2) => one + two')() as () => void
  expect(toolOf('made', signatureOf('made', '', run)).inputs).toMatchObject({
    properties: { one: {}, two: { type: 'number', default: 2 } },
    required: ['one'],
  })
})

test('[W72] comments and texts that look like functions are none', () => {
  for (const name of ['ghost', 'ghostly']) {
    expect(signatureOf(name, MODULE, (_own: string) => undefined).parameters).toMatchObject([{ name: '_own' }])
  }
})

test('[W72] wrong inputs and wrong names are told with those that there are', async () => {
  await using run = await started()
  await expect(run.call('add', {})).rejects.toThrow('add: "a" is missing; inputs are: a, b')
  await expect(run.call('add', { a: 1, c: 2 })).rejects.toThrow('there is no input "c"')
  await expect(run.call('subtract')).rejects.toThrow(/no function "subtract".*there are: add, .*find/)
  await expect(run.x.request('calc', 'just words')).rejects.toThrow(/asked by { action, inputs }/)
  expect(() => argumentsFor('f', [], { x: 1 })).toThrow('inputs are: none')
})

test('[W72] only what is listed may be called; one function needs no name', async () => {
  await using run = await started({ only: 'quiet' })
  expect(await run.x.request('calc', 'just words')).toBe('just words')
  await expect(run.call('add', { a: 1 })).rejects.toThrow('no function "add"')
  await expect(started({ only: ['nobody'] })).rejects.toThrow('exports no function "nobody"')
})

test('[W72] [W69] a module that cannot be used is refused in one sentence', async () => {
  await using folder = await folderWith({
    'a.py': 'def f(): pass',
    'b.ts': 'export const a = 1',
    'c.ts': 'export function (',
  })
  const start = (path: string) => startKinds([declare('calc', 'api functions', { path })], { folder: folder.path })
  await expect(start('a.py')).rejects.toThrow(
    /"a.py" is Python: swarmbus runs functions of TypeScript and JavaScript modules/,
  )
  await expect(start('b.ts')).rejects.toThrow('"b.ts" exports no function')
  await expect(start('c.ts')).rejects.toThrow('"c.ts" cannot be loaded')
  await expect(start('d.ts')).rejects.toThrow('"d.ts" cannot be read')
  await expect(start('e.json')).rejects.toThrow('no TypeScript or JavaScript module')
})
