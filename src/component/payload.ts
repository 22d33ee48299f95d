import { aText, checkOption } from '../kit/check.ts'
import { BusError } from '../kit/errors.ts'
import { type SchemaIssue, type StandardSchema, type TopicContract, validate } from '../message/contract.ts'
import { type Fields, fieldsSchema, jsonSchemaOf } from './fields.ts'
import type { Attribution } from './frame.ts'
import { KNOWN_PAYLOADS, SHARED_FIELDS } from './known-payloads.ts'

/** The type of an event's payload: fields of ours, or any Standard Schema (zod, valibot, arktype …). */
export type PayloadType = Fields | StandardSchema

/** The types of payloads, by event. An event without one may carry anything. */
export interface Payloads {
  /** Sets the type of an event. Throws INVALID_OPTION. */
  register(event: string, type: PayloadType): void
  /** False when the event had no type. */
  unregister(event: string): boolean
  /** True when the event has a type. */
  has(event: string): boolean
  /** The events that have types. */
  events(): readonly string[]
  /**
   * The payload as its event wants it: checked, with its defaults, and with the fields that all typed payloads share (`timestamp`,
   * `component_id`, `component_type`). Data of an event without a type is handed back as it is. Throws SCHEMA_MISMATCH with the path.
   */
  create(event: string, data: unknown, by?: PayloadOrigin): unknown
  /** What is wrong with the data; empty when nothing is, or when the event has no type. */
  validate(event: string, data: unknown): readonly SchemaIssue[]
  /** JSON Schema of an event whose type is made of fields; undefined for any other. */
  schema(event: string): Readonly<Record<string, unknown>> | undefined
}

/** What is put into the shared fields that a payload leaves out. */
export interface PayloadOrigin extends Partial<Attribution> {
  /** Wall-clock milliseconds. */
  readonly time?: number
}

interface Entry {
  readonly contract: TopicContract
  /** Set for a type that is made of fields. */
  readonly fields: Fields | undefined
}

/** Makes a registry that knows the events of components; {@link Payloads.register} adds to it. */
export function createPayloads(): Payloads {
  const entries = new Map<string, Entry>()
  const check = ({ contract }: Entry, data: unknown): unknown => {
    const checked = validate(contract, data)
    if (!(checked instanceof Promise)) return checked
    checked.catch(() => undefined)
    throw new BusError(
      'INVALID_OPTION',
      `the type of "${contract.topic}" answers later; a payload is checked at once`,
      {
        details: { field: 'type', allowed: 'a schema that answers at once' },
      },
    )
  }
  const payloads: Payloads = Object.freeze({
    register(event, type) {
      checkOption('payloads.register', 'event', event, aText)
      const isSchema = typeof (type as Partial<StandardSchema> | undefined)?.['~standard']?.validate === 'function'
      if (!isSchema) checkOption('payloads.register', 'type', type, aType)
      const fields = isSchema ? undefined : { ...SHARED_FIELDS, ...(type as Fields) }
      const schema = fields === undefined ? (type as StandardSchema) : fieldsSchema(fields)
      entries.set(event, { contract: { topic: event, schema }, fields })
    },
    unregister: (event) => entries.delete(event),
    has: (event) => entries.has(event),
    events: () => [...entries.keys()],
    create(event, data, by = {}) {
      const entry = entries.get(event)
      if (entry === undefined) return data
      return check(entry, entry.fields === undefined ? data : withOrigin(data, entry.fields, by))
    },
    validate(event, data) {
      const entry = entries.get(event)
      if (entry === undefined) return []
      const result = entry.contract.schema['~standard'].validate(data)
      if (result instanceof Promise) {
        check(entry, data)
        return []
      }
      return result.issues ?? []
    },
    schema(event) {
      const fields = entries.get(event)?.fields
      return fields === undefined ? undefined : jsonSchemaOf(fields)
    },
  } satisfies Payloads)
  for (const [event, fields] of Object.entries(KNOWN_PAYLOADS)) payloads.register(event, fields)
  return payloads
}

const aType = {
  allowed: 'an object of fields, or a Standard Schema',
  ok: (value: unknown): boolean =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((one: { type?: unknown } | null) => typeof one?.type === 'string'),
}

/** The shared fields, where the data leaves them out. Anything but an object stays, for the check to refuse. */
function withOrigin(data: unknown, fields: Fields, { time, component, kind, session }: PayloadOrigin): unknown {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return data
  const shared: Record<string, unknown> = {}
  if (time !== undefined) shared.timestamp = time
  if (component !== undefined) shared.component_id = component
  if (kind !== undefined) shared.component_type = kind
  if (session !== undefined && Object.hasOwn(fields, 'session_id')) shared.session_id = session
  return { ...shared, ...data }
}
