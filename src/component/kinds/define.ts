import type { KeyRule, KindDefinition } from '../kind.ts'
import type { Role } from '../role.ts'

/** Words for the `role` key of a file, and what they mean. */
export const ROLE_WORDS: Readonly<Record<string, Role>> = {
  input: 'input',
  agent: 'agent',
  llm: 'llm',
  model: 'llm',
  output: 'output',
  tool: 'tool',
  memory: 'memory',
  knowledge_base: 'knowledge-base',
  environment: 'environment',
  bus: 'bus',
  message_bus: 'bus',
  deployment: 'deployment',
  vm: 'vm',
}

/** Keys that every kind takes. */
const COMMON: Readonly<Record<string, KeyRule>> = {
  role: {
    type: 'text',
    allowed: Object.keys(ROLE_WORDS),
    summary: 'what it plays, where one word of its kind may mean several',
  },
  description: { type: 'text', summary: 'what it is for, in one line; agents read it of their tools' },
  streaming: { type: 'flag', default: false, summary: 'takes and gives parts as they come' },
  streaming_input: { type: 'flag', summary: 'takes parts as they come' },
  streaming_output: { type: 'flag', summary: 'gives parts as they come' },
}

/** A kind with the keys that all kinds have. */
export function defineKind(kind: KindDefinition): KindDefinition {
  return Object.freeze({ ...kind, keys: Object.freeze({ ...COMMON, ...kind.keys }) })
}

/** A kind that is known, and refused at the start with one sentence. */
export function missingKind(kind: Omit<KindDefinition, 'make'> & { readonly unavailable: string }): KindDefinition {
  return defineKind(kind)
}
