import { BusError } from '../kit/errors.ts'
import { parseTopic } from './topic.ts'

/** The part of Standard Schema (standardschema.dev, version 1) that is used here: zod, valibot, arktype and others implement it. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined
  }
}

/** What a schema says: the data, or what is wrong with it. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

/** One fault of the data, with its place. */
export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** A topic with the schema of its data. */
export interface TopicContract<T = unknown> {
  readonly topic: string
  readonly schema: StandardSchema<T>
}

/**
 * Declares a topic with its schema. `publish`, `request` and `subscribe` take it in place of the topic's text and are typed by it;
 * given to `createBus({ topics })`, the schema also holds for those who name the topic as text.
 * Throws INVALID_TOPIC, or INVALID_OPTION for something that is no Standard Schema.
 */
export function defineTopic<T>(topic: string, schema: StandardSchema<T>): TopicContract<T> {
  parseTopic(topic)
  const standard = (schema as Partial<StandardSchema<T>> | undefined)?.['~standard']
  if (typeof standard?.validate !== 'function') {
    throw new BusError(
      'INVALID_OPTION',
      `defineTopic("${topic}"): the schema is no Standard Schema (zod, valibot, arktype …)`,
      {
        details: { field: 'schema', allowed: 'an object with "~standard".validate' },
      },
    )
  }
  return Object.freeze({ topic, schema })
}

/** The path of a fault as text: `items.2.name`; `(root)` for the whole. */
function pathText(issue: SchemaIssue): string {
  const steps = (issue.path ?? []).map((step) => String(typeof step === 'object' ? step.key : step))
  return steps.length === 0 ? '(root)' : steps.join('.')
}

function accepted<T>(contract: TopicContract<T>, result: SchemaResult<T>): T {
  if (result.issues === undefined) return result.value
  const issues = result.issues.map((issue) => ({ path: pathText(issue), message: issue.message }))
  const first = issues[0] ?? { path: '(root)', message: 'invalid' }
  throw new BusError('SCHEMA_MISMATCH', `data for "${contract.topic}" at ${first.path}: ${first.message}`, {
    details: { topic: contract.topic, path: first.path, issues },
  })
}

/** The data as the schema returns it; a promise when the schema is asynchronous. Throws or rejects with SCHEMA_MISMATCH. */
export function validate<T>(contract: TopicContract<T>, data: unknown): T | Promise<T> {
  const result = contract.schema['~standard'].validate(data)
  return result instanceof Promise ? result.then((late) => accepted(contract, late)) : accepted(contract, result)
}
