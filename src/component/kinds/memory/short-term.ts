import { BusError } from '../../../kit/errors.ts'
import type { KindDefinition, ToolDescription } from '../../kind.ts'
import { defineKind } from '../define.ts'
import type { Turn } from '../llm/provider.ts'
import { settingsOf } from '../settings.ts'
import { textOf, toolRequestOf } from '../text.ts'
import type { Memory, MemoryBehaviour } from './memory.ts'

/** Limits of a short-term memory. */
export interface ShortTermOptions {
  /** Turns that are kept of a conversation; the oldest go. Default 100. */
  readonly mostTurns?: number
  /** Conversations that are kept; the one that was quiet for longest goes. Default 1 000. */
  readonly mostSessions?: number
}

/** Remembers the last turns of each conversation, in this process only. */
export function shortTermMemory({ mostTurns = 100, mostSessions = 1_000 }: ShortTermOptions = {}): Memory {
  const sessions = new Map<string | undefined, Turn[]>()
  return Object.freeze({
    data: (session: string | undefined): readonly Turn[] => [...(sessions.get(session) ?? [])],
    add(session: string | undefined, turns: readonly Turn[]): void {
      const kept = [...(sessions.get(session) ?? []), ...turns].slice(-mostTurns)
      sessions.delete(session)
      sessions.set(session, kept)
      if (sessions.size > mostSessions) sessions.delete(sessions.keys().next().value)
    },
    clear(session: string | undefined): void {
      sessions.delete(session)
    },
  })
}

const TOOLS: readonly ToolDescription[] = [
  {
    name: 'add',
    summary: 'remembers a text for this conversation',
    inputs: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
  },
  { name: 'data', summary: 'what is remembered of this conversation', inputs: { type: 'object', properties: {} } },
  { name: 'clear', summary: 'forgets this conversation', inputs: { type: 'object', properties: {} } },
]

/** `memory short_term`: asked `{ action: add | data | clear }`, or given as `memory` to an llm or agent; whatever is routed to it is remembered. */
export const SHORT_TERM: KindDefinition = defineKind({
  kind: 'memory short_term',
  role: 'memory',
  summary: 'remembers the last turns of each session, as long as the process runs',
  keys: {
    max_turns: { type: 'whole', min: 1, default: 100, summary: 'turns that are kept of a session' },
    max_sessions: { type: 'whole', min: 1, default: 1_000, summary: 'sessions that are kept' },
  },
  make(spec): MemoryBehaviour {
    const settings = settingsOf(spec, SHORT_TERM)
    const memory = shortTermMemory({
      mostTurns: settings.number('max_turns') as number,
      mostSessions: settings.number('max_sessions') as number,
    })
    return {
      memory,
      tools: () => TOOLS,
      async handle(message) {
        const { session } = message
        const asked = toolRequestOf(message.data)
        switch (asked?.action) {
          case undefined:
            await memory.add(session, [{ role: 'user', text: textOf(message.data) }])
            return undefined
          case 'add':
            await memory.add(session, [{ role: 'user', text: textOf(asked.inputs) }])
            return 'remembered'
          case 'data':
            return memory.data(session)
          case 'clear':
            await memory.clear(session)
            return 'forgotten'
          default:
            throw new BusError(
              'HANDLER_FAILED',
              `a memory has no action "${asked?.action}"; there are: add, data, clear`,
            )
        }
      },
    }
  },
})
