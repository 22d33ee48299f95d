import type { KeyRule, KindDefinition } from '../../kind.ts'
import { Reference, type Setting } from '../../spec.ts'
import { isBlock } from '../settings.ts'
import { echoModel } from './echo.ts'
import { type LlmKind, llmKind } from './llm.ts'
import { answersIn, readAnswers } from './script.ts'
import { scriptedModel } from './scripted.ts'

const DELAY: KeyRule = { type: 'duration', default: 0, summary: 'the wait between two words' }

/** The llm kinds with their models, in the form that agents of one word use too. */
export const LLM_KINDS: readonly LlmKind[] = [
  {
    kind: 'llm echo',
    summary: 'repeats what it is told: to try a swarm without a provider',
    keys: {
      prefix: { type: 'text', default: '', summary: 'stands before what it repeats' },
      delay: DELAY,
    },
    model: (settings, { env }) =>
      echoModel(env, { prefix: settings.text('prefix') ?? '', delayMs: settings.ms('delay') ?? 0 }),
  },
  {
    kind: 'llm scripted',
    summary: 'answers from a list or a file, each session from the start; it can ask for tools',
    keys: {
      answers: {
        type: 'list',
        summary: 'texts, or blocks of `text`, `thought`, `when`, `error`, and `tool` with `inputs`',
      },
      file: { type: 'text', summary: 'a file of answers beside the .ww file: .json, .jsonl, or one text a line' },
      repeat: { type: 'flag', default: false, summary: 'begins anew after the last answer' },
      delay: DELAY,
    },
    async model(settings, { env, folder }) {
      const file = settings.text('file')
      if (file === undefined && settings.list('answers').length === 0) {
        throw settings.fault('"answers" or "file" is missing: what it says, in order')
      }
      try {
        const answers = [
          ...readAnswers(settings.list('answers').map(plain)),
          ...(file === undefined ? [] : await answersIn(folder, file)),
        ]
        return scriptedModel(env, {
          answers,
          repeat: settings.flag('repeat'),
          delayMs: settings.ms('delay') ?? 0,
        })
      } catch (cause) {
        throw settings.fault(
          `its ${file === undefined ? 'answers' : `answers ("${file}")`} cannot be used: ${(cause as Error).message}`,
        )
      }
    },
  },
  provider('openai', 'models of OpenAI', 'gpt-4o-mini', 'OPENAI_API_KEY'),
  provider('claude', 'models of Anthropic', 'claude-sonnet-4-20250514', 'ANTHROPIC_API_KEY'),
  provider('ollama', 'models on this machine, by Ollama', undefined, undefined),
  provider('hugging_face', 'models of Hugging Face', 'Mixtral-8x7B-Instruct-v0.1', 'HF_TOKEN'),
]

/** Every llm. */
export const LLMS: readonly KindDefinition[] = LLM_KINDS.map(llmKind)

/** A provider whose client comes later: the checker knows its keys, the start refuses it. */
function provider(word: string, summary: string, model: string | undefined, variable: string | undefined): LlmKind {
  return {
    kind: `llm ${word}`,
    summary,
    keys: {
      model: {
        type: 'text',
        summary: 'which model',
        ...(model === undefined ? { required: true } : { default: model }),
      },
      api_key: { type: 'text', secret: true, required: variable ?? false, summary: 'the key of the provider' },
      base_url: { type: 'text', summary: 'where the provider is asked' },
      temperature: { type: 'number', min: 0, max: 2, summary: 'how freely it answers' },
      max_tokens: { type: 'whole', min: 1, summary: 'most tokens of an answer' },
    },
    unavailable: notYet(word),
  }
}

/** Why a provider cannot be used, and what can. */
export function notYet(word: string): string {
  return (
    `swarmbus has no client for ${word} yet: use \`llm echo\` or \`llm scripted\`, ` +
    'or add a kind of your own by the provider contract (`llmKind` with a `Model`)'
  )
}

/** A setting as plain data: names become texts. */
function plain(value: Setting): unknown {
  if (value instanceof Reference) return value.name
  if (Array.isArray(value)) return (value as readonly Setting[]).map(plain)
  if (isBlock(value)) return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]))
  return value
}
