import type { Behaviour } from '../../kind.ts'
import type { Turn } from '../llm/provider.ts'

/** A behaviour that remembers conversations: what stands as `memory` of an llm or an agent. */
export interface MemoryBehaviour extends Behaviour {
  readonly memory: Memory
}

/** Conversations, each for itself. */
export interface Memory {
  /** The turns of a conversation, oldest first. */
  data(session: string | undefined): readonly Turn[] | Promise<readonly Turn[]>
  add(session: string | undefined, turns: readonly Turn[]): void | Promise<void>
  /** Forgets one conversation. */
  clear(session: string | undefined): void | Promise<void>
}

/** The memory of a behaviour; undefined when it is none. */
export function memoryOf(behaviour: Behaviour): Memory | undefined {
  const found = (behaviour as Partial<MemoryBehaviour>).memory
  return typeof found?.data === 'function' && typeof found.add === 'function' ? found : undefined
}
