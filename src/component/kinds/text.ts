/** A call of a tool as it is sent to a component. */
export interface ToolRequest {
  readonly action: string
  readonly inputs: Readonly<Record<string, unknown>>
}

/** True for an object that is no list. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The call of a tool in what was sent; undefined when it is none. */
export function toolRequestOf(data: unknown): ToolRequest | undefined {
  if (!isRecord(data) || typeof data.action !== 'string') return undefined
  const { action, inputs } = data
  if (inputs === undefined || inputs === null) return { action, inputs: {} }
  return isRecord(inputs) ? { action, inputs } : undefined
}

/** Where the words stand in an object, the most telling name first. */
const WORDS = ['input', 'text', 'response', 'answer', 'message', 'prompt', 'query', 'data', 'value'] as const

/** The words in whatever a component was sent: a text as it is, the telling field of an object, else JSON. */
export function textOf(data: unknown): string {
  if (typeof data === 'string') return data
  if (isRecord(data)) {
    for (const name of WORDS) {
      const found = data[name]
      if (typeof found === 'string') return found
    }
  }
  return jsonOf(data)
}

/** A text for any value: texts as they are, else JSON; undefined is empty. */
export function jsonOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (value === undefined) return ''
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return String(value)
  }
}
