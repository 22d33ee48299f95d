import { type } from 'arktype'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineTopic, type StandardSchema, validate } from './contract.ts'

interface Task {
  items: { name: string; count: number }[]
}

const schemas: readonly [vendor: string, schema: StandardSchema<Task>][] = [
  ['zod', z.object({ items: z.array(z.object({ name: z.string(), count: z.number() })) })],
  ['valibot', v.object({ items: v.array(v.object({ name: v.string(), count: v.number() })) })],
  ['arktype', type({ items: type({ name: 'string', count: 'number' }).array() }) as unknown as StandardSchema<Task>],
]

test.each(schemas)('a contract of %s takes good data and names the path of a fault', async (vendor, schema) => {
  const contract = defineTopic('tasks.coding', schema)
  expect(contract.schema['~standard'].vendor).toBe(vendor)
  const good = { items: [{ name: 'a', count: 1 }] }
  expect(await validate(contract, good)).toEqual(good)
  const bad = {
    items: [
      { name: 'a', count: 1 },
      { name: 'b', count: 'two' },
    ],
  }
  const thrown = await Promise.resolve()
    .then(() => validate(contract, bad))
    .catch((error: unknown) => error)
  expect(thrown).toMatchObject({ code: 'SCHEMA_MISMATCH', details: { topic: 'tasks.coding', path: 'items.1.count' } })
  expect((thrown as Error).message).toContain('"tasks.coding" at items.1.count: ')
})

test('a fault of the whole is at (root), and all faults are listed', () => {
  const contract = defineTopic('t', z.object({ a: z.string(), b: z.string() }))
  const issuesOf = (data: unknown): unknown => {
    try {
      return validate(contract, data)
    } catch (error) {
      return (error as { details: { issues: { path: string }[] } }).details.issues.map(({ path }) => path)
    }
  }
  expect(issuesOf(5)).toEqual(['(root)'])
  expect(issuesOf({})).toEqual(['a', 'b'])
})

test('the data is what the schema makes of it', () => {
  const contract = defineTopic('t', z.object({ n: z.coerce.number().default(7) }).strip())
  expect(validate(contract, { n: '5', more: 1 })).toEqual({ n: 5 })
  expect(validate(contract, {})).toEqual({ n: 7 })
})

test('an asynchronous schema gives a promise that rejects with the same error', async () => {
  const contract = defineTopic(
    't',
    z.string().refine(async (text) => text === 'good'),
  )
  const late = validate(contract, 'good')
  expect(late).toBeInstanceOf(Promise)
  expect(await late).toBe('good')
  await expect(validate(contract, 'bad')).rejects.toMatchObject({
    code: 'SCHEMA_MISMATCH',
    details: { path: '(root)' },
  })
})

test('a path may be made of steps that are objects, as valibot and others do', () => {
  const schema: StandardSchema = {
    '~standard': {
      version: 1,
      vendor: 'own',
      validate: () => ({ issues: [{ message: 'm', path: [{ key: 'a' }, 0, Symbol.for('s')] }] }),
    },
  }
  expect(() => validate(defineTopic('t', schema), 1)).toThrow(
    expect.objectContaining({ details: expect.objectContaining({ path: 'a.0.Symbol(s)' }) }),
  )
})

test('what is no schema, and a wrong topic, are refused', () => {
  for (const wrong of [undefined, null, {}, { '~standard': {} }, () => true]) {
    expect(() => defineTopic('t', wrong as unknown as StandardSchema)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    )
  }
  expect(() => defineTopic('a.*', z.any())).toThrow(expect.objectContaining({ code: 'INVALID_TOPIC' }))
})
