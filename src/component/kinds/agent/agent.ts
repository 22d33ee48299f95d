import { BusError, describeThrown, isBusError } from '../../../kit/errors.ts'
import type { Component } from '../../component.ts'
import type { Behaviour, KeyRule, KindDefinition, MakeContext, ToolDescription } from '../../kind.ts'
import type { ComponentSpec } from '../../spec.ts'
import { defineKind } from '../define.ts'
import { LLM_KINDS } from '../llm/kinds.ts'
import { LLM_KEYS, surroundingsOf } from '../llm/llm.ts'
import type { Surroundings } from '../llm/prompt.ts'
import { type Model, modelOf } from '../llm/provider.ts'
import { type Settings, settingsOf } from '../settings.ts'
import { isRecord, jsonOf, textOf, toolRequestOf } from '../text.ts'
import { makeAsker } from './ask-user.ts'
import { type LoopHost, runLoop } from './loop.ts'

const NO_PLANS = 'plans are not kept, each question is worked on anew'

const AGENT_KEYS: Readonly<Record<string, KeyRule>> = {
  tools: {
    type: 'references',
    roles: ['tool', 'llm', 'agent', 'knowledge-base', 'memory', 'environment', 'other', 'vm'],
    summary: 'components that it may ask',
  },
  planning: { type: 'flag', default: false, summary: 'has the model write a plan before it begins' },
  cache: { type: 'flag', default: false, summary: 'keeps plans for questions that come again', noEffect: NO_PLANS },
  graph_cache: { type: 'flag', default: false, summary: 'the same as `cache`', noEffect: NO_PLANS },
  workflows: { type: 'flag', default: false, summary: 'records what was done, to do it again', noEffect: NO_PLANS },
  uri: { type: 'text', summary: 'where plans were kept', noEffect: NO_PLANS },
  user: { type: 'text', summary: 'who keeps them', noEffect: NO_PLANS },
  password: { type: 'text', secret: true, summary: 'the password of the user', noEffect: NO_PLANS },
  max_rounds: { type: 'whole', min: 1, max: 1_000, default: 1_000, summary: 'how often the model may ask for tools' },
  max_tokens: {
    type: 'whole',
    min: 100,
    default: 90_000,
    summary: 'above so many the conversation is summed up by the model',
  },
  max_observation_tokens: {
    type: 'whole',
    min: 10,
    default: 7_500,
    summary: 'above so many a result becomes a notice',
  },
  ask_timeout: { type: 'duration', min: 0.001, default: 300, summary: 'how long `ask_user` waits' },
}

const NO_MODEL =
  'it has an "api_key" and no "model": declare an llm (`llm echo`, `llm scripted`) and name it as its model'

/** `agent llm`: works on a question with a model and tools. */
export const AGENT: KindDefinition = defineKind({
  kind: 'agent llm',
  also: ['decomposer llm'],
  role: 'agent',
  summary: 'works on a question with a model and tools, until the model answers',
  keys: {
    ...LLM_KEYS,
    ...AGENT_KEYS,
    model: { type: 'reference', required: true, unless: 'api_key', roles: ['llm'], summary: 'the llm that decides' },
    api_key: {
      type: 'text',
      secret: true,
      summary: 'the key of its own client of OpenAI, which swarmbus does not have yet: name a `model` beside it',
    },
  },
  cannotRun: (has) => (has('api_key') && !has('model') ? NO_MODEL : undefined),
  async make(spec, context) {
    const settings = settingsOf(spec, AGENT)
    const name = settings.name('model')
    if (name === undefined) throw settings.fault(NO_MODEL)
    const model = modelOf(context.behaviour(name))
    if (model === undefined)
      throw settings.fault(`"${name}" is no llm that an agent can use (see the provider contract)`)
    return agentBehaviour(model, spec, settings, context, await surroundingsOf(settings, context))
  },
})

/** Agents with their model inside, one for each llm: what `agent = claude { … }` is. */
export const OWN_MODEL_AGENTS: readonly KindDefinition[] = LLM_KINDS.map((llm) => {
  const word = llm.kind.slice('llm '.length)
  const { model: makeModel, unavailable } = llm
  const definition: KindDefinition = defineKind({
    kind: `agent ${word}`,
    role: 'agent',
    summary: `an agent with a model of its own: ${llm.summary}`,
    keys: { ...LLM_KEYS, ...llm.keys, ...AGENT_KEYS },
    ...(unavailable === undefined ? {} : { unavailable }),
    ...(makeModel === undefined
      ? {}
      : {
          async make(spec: ComponentSpec, context: MakeContext): Promise<Behaviour> {
            const settings = settingsOf(spec, definition)
            const around = await surroundingsOf(settings, context)
            return agentBehaviour(await makeModel(settings, context, spec), spec, settings, context, around)
          },
        }),
  })
  return definition
})

function agentBehaviour(
  model: Model,
  spec: ComponentSpec,
  settings: Settings,
  context: MakeContext,
  around: Surroundings,
): Behaviour {
  const tools = new Map(settings.names('tools').map((name) => [name, context.behaviour(name)] as const))
  const stepMs = settings.ms('timeout') as number
  const asker = makeAsker(context)
  for (const key of ['cache', 'graph_cache', 'workflows']) {
    if (settings.flag(key)) context.tell(`"${spec.name}": \`${key}\` has no effect: ${NO_PLANS}`)
  }
  const asTool: ToolDescription = {
    name: 'ask',
    summary: settings.text('description') ?? `asks the agent "${spec.name}"`,
    inputs: { type: 'object', properties: { question: { type: 'string' } }, required: ['question'] },
  }
  let host: LoopHost | undefined

  return {
    produces: 'response_generated',
    handlerTimeoutMs: stepMs,
    tools: () => [asTool],
    start(own) {
      const limits = {
        rounds: settings.number('max_rounds') as number,
        tokens: settings.number('max_tokens') as number,
        observationTokens: settings.number('max_observation_tokens') as number,
        stepMs,
        askMs: settings.ms('ask_timeout') as number,
      }
      host = { own, model, tools, around, asker, limits, planning: settings.flag('planning') }
    },
    async handle(message, handling) {
      const { own } = host as LoopHost
      const asked = toolRequestOf(message.data)
      const question = asked === undefined ? textOf(message.data) : textOf(asked.inputs.question ?? asked.inputs)
      try {
        return await answered(own, await runLoop(host as LoopHost, question, handling, message.session))
      } catch (error) {
        await tellError(own, error)
        throw error
      }
    },
    stop: () => asker.stop(),
  }
}

/** Tells the answer as `agent.response`; its pipes may change it, and what one of them stops does not go out. */
async function answered(own: Component, response: string): Promise<string> {
  const { payload, stoppedBy } = await own.emit('agent.response', { response }, { route: false })
  if (stoppedBy !== undefined) throw new BusError('HANDLER_FAILED', `"${stoppedBy}" stopped the answer`)
  return isRecord(payload) ? jsonOf(payload.response) : response
}

function tellError(own: Component, error: unknown): Promise<unknown> {
  const payload = {
    error: describeThrown(error),
    error_type: isBusError(error) ? error.code : error instanceof Error ? error.name : 'Unknown',
    context: {},
  }
  // The fault itself counts, not that it could not be told.
  return own.emit('agent.error', payload, { route: false }).catch(() => undefined)
}
