import type { Context } from '../../../bus/handler.ts'
import { BusError } from '../../../kit/errors.ts'
import type { Message } from '../../../message/message.ts'
import type { Component } from '../../component.ts'
import type { Behaviour, KeyRule, KindDefinition, MakeContext, ToolDescription } from '../../kind.ts'
import type { ComponentSpec } from '../../spec.ts'
import { defineKind } from '../define.ts'
import { knowledgeOf } from '../knowledge/knowledge.ts'
import { memoryOf } from '../memory/memory.ts'
import { type Settings, settingsOf } from '../settings.ts'
import { textOf, toolRequestOf } from '../text.ts'
import { promptIn, type Surroundings, systemText } from './prompt.ts'
import { type Model, type Turn, withModel } from './provider.ts'

/** Keys of every llm. */
export const LLM_KEYS: Readonly<Record<string, KeyRule>> = {
  model: { type: 'text', summary: 'which model' },
  prompt: {
    type: 'any',
    summary: 'what the model is told before everything else: a text, or `{ file: "…" }` beside the .ww file',
  },
  system: { type: 'any', summary: 'the same as `prompt`' },
  memory: {
    type: 'reference',
    roles: ['memory'],
    summary: 'what was said before is put before the question, and extended',
  },
  knowledge_base: {
    type: 'reference',
    roles: ['knowledge-base'],
    summary: 'what fits the question is added to it',
  },
  knowledge_hits: { type: 'whole', min: 1, max: 50, default: 3, summary: 'how many pieces of the knowledge base' },
  timeout: { type: 'duration', min: 0.001, default: 120, summary: 'how long one answer may take' },
}

/** An llm of a provider: its keys, and how its model is made. */
export interface LlmKind extends Omit<KindDefinition, 'role' | 'make' | 'keys'> {
  /** Beside {@link LLM_KEYS}. */
  readonly keys?: Readonly<Record<string, KeyRule>>
  readonly model?: (settings: Settings, context: MakeContext, spec: ComponentSpec) => Model | Promise<Model>
}

/** Makes the kind of an llm out of its provider: memory, knowledge, streaming and tools are the same for all. */
export function llmKind({ model, keys, ...kind }: LlmKind): KindDefinition {
  const definition: KindDefinition = defineKind({
    ...kind,
    role: 'llm',
    keys: { ...LLM_KEYS, ...keys },
    ...(model === undefined
      ? {}
      : {
          async make(spec: ComponentSpec, context: MakeContext): Promise<Behaviour> {
            const settings = settingsOf(spec, definition)
            const around = await surroundingsOf(settings, context)
            return llmBehaviour(await model(settings, context, spec), spec, settings, around)
          },
        }),
  })
  return definition
}

/** What stands around the model of an llm or agent: prompt, memory, knowledge. Rejects with CONFIG_INVALID for what is none of these. */
export async function surroundingsOf(settings: Settings, context: MakeContext): Promise<Surroundings> {
  const memoryName = settings.name('memory')
  const knowledgeName = settings.name('knowledge_base')
  const memory = memoryName === undefined ? undefined : memoryOf(context.behaviour(memoryName))
  const knowledge = knowledgeName === undefined ? undefined : knowledgeOf(context.behaviour(knowledgeName))
  if (memoryName !== undefined && memory === undefined) throw settings.fault(`"${memoryName}" is no memory`)
  if (knowledgeName !== undefined && knowledge === undefined) {
    throw settings.fault(`"${knowledgeName}" is no knowledge base`)
  }
  const prompt = (await promptIn(settings, 'prompt', context)) ?? (await promptIn(settings, 'system', context))
  return { prompt, memory, knowledge, hits: settings.number('knowledge_hits') ?? 3 }
}

function llmBehaviour(model: Model, spec: ComponentSpec, settings: Settings, around: Surroundings): Behaviour {
  const isStreaming = settings.flag('streaming') || settings.flag('streaming_output')
  let own: Component | undefined
  const tool: ToolDescription = {
    name: 'ask',
    summary: settings.text('description') ?? `asks the language model ${model.name}`,
    inputs: { type: 'object', properties: { prompt: { type: 'string' } }, required: ['prompt'] },
  }

  async function* answer(message: Message, handling: Context): AsyncGenerator<string, void, undefined> {
    const { session } = message
    const asked = toolRequestOf(message.data)
    const question = textOf(asked === undefined ? message.data : asked.inputs)
    const before = (await around.memory?.data(session)) ?? []
    const turn: Turn = { role: 'user', text: question }
    const request = {
      system: await systemText(around, question),
      turns: [...before, turn],
      tools: [],
      session,
      signal: handling.signal,
    }
    let said = ''
    for await (const part of model.generate(request)) {
      if (part.type === 'tool-call') {
        throw new BusError(
          'HANDLER_FAILED',
          `"${spec.name}" asks for the tool "${part.call.name}", but an llm has none: use an agent`,
        )
      }
      if (part.type === 'usage') {
        own?.measure({
          tokens: part.inputTokens + part.outputTokens,
          ...(part.cost === undefined ? {} : { cost: part.cost }),
        })
      }
      if (part.type !== 'text-delta' || part.text === '') continue
      said += part.text
      yield part.text
    }
    // Only after the whole answer: a turn that failed is not remembered.
    await around.memory?.add(session, [turn, { role: 'assistant', text: said }])
  }

  return withModel<Behaviour>(
    {
      handle: answer,
      produces: 'response_generated',
      streamingOutput: isStreaming,
      handlerTimeoutMs: settings.ms('timeout') as number,
      tools: () => [tool],
      start(component) {
        own = component
      },
    },
    model,
  )
}
