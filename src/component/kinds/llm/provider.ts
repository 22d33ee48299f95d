import type { ToolDescription } from '../../kind.ts'

// The contract between swarmbus and a language model. A provider is a function that makes a Model; nothing else of it is seen.

/** A model: text and tools in, parts out. */
export interface Model {
  /** For people and figures: `gpt-4o-mini`. */
  readonly name: string
  /**
   * The parts of one answer as they come. Throws what a caller may branch on (`BusError`) and ends when `signal` is aborted; leaving the
   * loop stops the work. Nothing is kept between calls: the whole conversation is in the request.
   */
  generate(request: ModelRequest): AsyncIterable<Part>
}

/** One question to a model. */
export interface ModelRequest {
  /** What it is told before the conversation. */
  readonly system: string | undefined
  /** The conversation up to now; the last turn is to be answered. */
  readonly turns: readonly Turn[]
  /** What it may ask for; empty for none. */
  readonly tools: readonly ToolDescription[]
  /** The conversation's id, for providers that keep something for it elsewhere. */
  readonly session: string | undefined
  readonly signal: AbortSignal
}

/** One turn of a conversation. */
export type Turn =
  | { readonly role: 'user'; readonly text: string }
  | { readonly role: 'assistant'; readonly text: string; readonly calls?: readonly ToolCall[] }
  /** What a tool answered to the call with that id. */
  | { readonly role: 'tool'; readonly call: string; readonly tool: string; readonly text: string }

/** A model asks for a tool. */
export interface ToolCall {
  /** Joins the call and its answer. */
  readonly id: string
  /** As in {@link ToolDescription}. */
  readonly name: string
  readonly inputs: Readonly<Record<string, unknown>>
}

/** One part of an answer. */
export type Part =
  | { readonly type: 'text-delta'; readonly text: string }
  /** What the model thinks, where it tells. */
  | { readonly type: 'thought-delta'; readonly text: string }
  | { readonly type: 'tool-call'; readonly call: ToolCall }
  /** What the answer took, once. */
  | { readonly type: 'usage'; readonly inputTokens: number; readonly outputTokens: number; readonly cost?: number }

/** An answer put together. */
export interface Answer {
  readonly text: string
  readonly thought: string
  readonly calls: readonly ToolCall[]
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number; readonly cost: number } | undefined
}

/** Takes in a whole answer. */
export async function collectAnswer(parts: AsyncIterable<Part>): Promise<Answer> {
  let text = ''
  let thought = ''
  let usage: Answer['usage']
  const calls: ToolCall[] = []
  for await (const part of parts) {
    switch (part.type) {
      case 'text-delta':
        text += part.text
        break
      case 'thought-delta':
        thought += part.text
        break
      case 'tool-call':
        calls.push(part.call)
        break
      case 'usage':
        usage = { inputTokens: part.inputTokens, outputTokens: part.outputTokens, cost: part.cost ?? 0 }
        break
      default:
        part satisfies never
    }
  }
  return { text, thought, calls, usage }
}

const MODEL = Symbol.for('swarmbus.model')

/** Marks a behaviour as one that has a model, so that agents can use it. */
export function withModel<T extends object>(behaviour: T, model: Model): T & { readonly [MODEL]: Model } {
  return Object.assign(behaviour, { [MODEL]: model } as const)
}

/** The model of a behaviour; undefined when it has none. */
export function modelOf(behaviour: object): Model | undefined {
  return (behaviour as { readonly [MODEL]?: Model })[MODEL]
}
