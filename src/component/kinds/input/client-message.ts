import { isRecord } from '../text.ts'

/** What a client wants. */
export type ClientMessage =
  | { readonly type: 'input'; readonly input: unknown; readonly inputs: Readonly<Record<string, unknown>> }
  /** The answer to a question of an agent. */
  | { readonly type: 'answer'; readonly requestId: string; readonly response: string }
  | { readonly type: 'subscribe'; readonly components: readonly string[] }
  | { readonly type: 'fault'; readonly error: string }

/** Reads a message of a socket: JSON as the types say, anything else is what a person wrote. Undefined for an empty one. */
export function readClientMessage(text: string): ClientMessage | undefined {
  if (text.trim() === '') return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { type: 'input', input: text, inputs: {} }
  }
  return isRecord(value) ? readClientObject(value) : { type: 'input', input: text, inputs: {} }
}

/** Reads `{ type: user_input, input }`, `{ type: input, data }`, `{ type: subscribe, components }`; without a type it is the first. */
export function readClientObject(value: Readonly<Record<string, unknown>>): ClientMessage {
  const type = value.type ?? (value.input === undefined && value.data !== undefined ? 'input' : 'user_input')
  switch (type) {
    case 'user_input':
      return readUserInput(value)
    case 'input': {
      if (value.data === undefined) return { type: 'fault', error: '"data" is missing' }
      const inputs = isRecord(value.data) && isRecord(value.data.inputs) ? value.data.inputs : {}
      const input = isRecord(value.data) && value.data.input !== undefined ? value.data.input : value.data
      return { type: 'input', input, inputs }
    }
    case 'subscribe': {
      const { components } = value
      if (!Array.isArray(components) || !components.every((one) => typeof one === 'string')) {
        return { type: 'fault', error: '"components" must be a list of names, or ["*"]' }
      }
      return { type: 'subscribe', components: components as readonly string[] }
    }
    default:
      return { type: 'fault', error: 'the type is unknown; there are: user_input, input, subscribe' }
  }
}

function readUserInput(value: Readonly<Record<string, unknown>>): ClientMessage {
  if (typeof value.input !== 'string' || value.input === '')
    return { type: 'fault', error: '"input" must be a text that is not empty' }
  if (typeof value.request_id === 'string')
    return { type: 'answer', requestId: value.request_id, response: value.input }
  return { type: 'input', input: value.input, inputs: isRecord(value.inputs) ? value.inputs : {} }
}
