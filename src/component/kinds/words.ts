import type { Role } from '../role.ts'
import { ROLE_WORDS } from './define.ts'

/** What one word may stand for: the kind by the role it plays, and the role where nothing says another. */
interface Word {
  readonly kinds: Readonly<Partial<Record<Role, string>>>
  /** Undefined: a role must be said, or be seen in the name. */
  readonly usual?: Role
}

const model = (word: string): Word => ({ kinds: { llm: `llm ${word}`, agent: `agent ${word}` }, usual: 'llm' })
const only = (role: Role, kind: string): Word => ({ kinds: { [role]: kind }, usual: role })

const WORDS: ReadonlyMap<string, Word> = new Map<string, Word>([
  ['claude', model('claude')],
  ['openai', model('openai')],
  ['ollama', model('ollama')],
  ['hugging_face', model('hugging_face')],
  ['echo', model('echo')],
  ['scripted', model('scripted')],
  // A terminal has two ends.
  ['cli', { kinds: { input: 'input command_line', output: 'output console' } }],
  ['console', { kinds: { output: 'output console', input: 'input command_line' }, usual: 'output' }],
  [
    'command_line',
    {
      kinds: { input: 'input command_line', output: 'output console', tool: 'core command_line' },
      usual: 'input',
    },
  ],
  ['api', { kinds: { input: 'input api', tool: 'api web' } }],
  ['api_input', only('input', 'input api')],
  ['keyword_voice', only('input', 'input keyword_voice')],
  ['push_to_talk', only('input', 'input push_to_talk')],
  ['voice', only('output', 'output voice')],
  ['websocket', { kinds: { output: 'output websocket', input: 'input api' }, usual: 'output' }],
  ['input', only('input', 'input command_line')],
  ['output', only('output', 'output console')],
  ['agent', only('agent', 'agent llm')],
  ['decomposer', only('agent', 'agent llm')],
  ['memory', { kinds: { memory: 'memory short_term', bus: 'bus memory' }, usual: 'memory' }],
  ['short_term', only('memory', 'memory short_term')],
  ['chroma', only('knowledge-base', 'knowledge_base chroma')],
  ['neo4j', only('knowledge-base', 'knowledge_base neo4j')],
  ['text_file', only('knowledge-base', 'knowledge_base text_file')],
  ['functions', only('tool', 'api functions')],
  ['web', only('tool', 'api web')],
  ['mcp', only('tool', 'mcp server')],
  ['analytics', only('other', 'analytics')],
  ['local', only('deployment', 'deployment local')],
  ['server', { kinds: { deployment: 'deployment server', vm: 'vm server' }, usual: 'deployment' }],
  ['docker', only('deployment', 'deployment docker')],
  ['cloud', only('deployment', 'deployment cloud')],
  ['auto', only('bus', 'bus auto')],
  ['sqlite', only('bus', 'bus sqlite')],
  ['redis', only('bus', 'bus redis')],
  ['nats', only('bus', 'bus nats')],
  ['cortex', only('bus', 'bus cortex')],
])

/** Where a word of a kind stands. */
export interface WordHint {
  /** The name of the declaration, or the key whose value it is: `message_bus`. */
  readonly name: string
  /** The value of its `role` key. */
  readonly role?: string
}

/** The kind that is meant, or what is wrong, in one sentence. */
export type WordMeaning = { readonly kind: string } | { readonly fault: string }

/**
 * The kind of the catalogue that one or two words mean. Two words are taken as they are. Of one word the `role` key decides, else the
 * name where a word of it is a role that the kind can play, else what the word usually means; a choice that is still open is a fault.
 */
export function kindOfWords(words: readonly string[], hint: WordHint): WordMeaning {
  const [first = ''] = words
  const word = words.length === 1 ? WORDS.get(first) : undefined
  if (word === undefined) return { kind: words.join(' ') }
  const possible = Object.keys(word.kinds) as Role[]
  const meant = (role: Role): WordMeaning => ({ kind: word.kinds[role] as string })

  if (hint.role !== undefined) {
    const role = Object.hasOwn(ROLE_WORDS, hint.role) ? ROLE_WORDS[hint.role] : undefined
    if (role === undefined)
      return { fault: `there is no role "${hint.role}"; there are: ${Object.keys(ROLE_WORDS).join(', ')}` }
    if (possible.includes(role)) return meant(role)
    return { fault: `"${first}" cannot play the role "${hint.role}"; it can be: ${rolesOf(possible)}` }
  }
  const named = rolesIn(hint.name).filter((role) => possible.includes(role))
  if (named.length === 1) return meant(named[0] as Role)
  if (named.length === 0 && word.usual !== undefined) return meant(word.usual)
  return {
    fault: `"${first}" may be ${rolesOf(possible)} here: say which by the key \`role\`, or by a name such as "${spelled(possible[0] as Role)}"`,
  }
}

/** The words that mean something alone. */
export const KIND_WORDS: readonly string[] = [...WORDS.keys()]

/** The roles that a name speaks of: `agent`, `my_agent`, `message_bus`, `in`. */
function rolesIn(name: string): readonly Role[] {
  const whole = roleOf(name.toLowerCase())
  if (whole !== undefined) return [whole]
  const found = name
    .toLowerCase()
    .split(/[_-]/)
    .flatMap((part) => roleOf(part.replace(/\d+$/, '')) ?? [])
  return [...new Set(found)]
}

const SHORT: Readonly<Record<string, Role>> = {
  in: 'input',
  inp: 'input',
  out: 'output',
  inputs: 'input',
  outputs: 'output',
  agents: 'agent',
  tools: 'tool',
  kb: 'knowledge-base',
  deploy: 'deployment',
}

function roleOf(word: string): Role | undefined {
  if (Object.hasOwn(ROLE_WORDS, word)) return ROLE_WORDS[word]
  return Object.hasOwn(SHORT, word) ? SHORT[word] : undefined
}

function rolesOf(roles: readonly Role[]): string {
  return roles.map((role) => `"${spelled(role)}"`).join(' or ')
}

function spelled(role: Role): string {
  return role.replace('-', '_')
}
