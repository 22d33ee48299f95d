import type { Behaviour } from '../../kind.ts'

/** A behaviour that can be asked for what it knows: what stands as `knowledge_base` of an llm or an agent. */
export interface KnowledgeBehaviour extends Behaviour {
  readonly knowledge: Knowledge
}

/** Texts that can be searched. */
export interface Knowledge {
  /** The pieces that fit best, the best first; fewer, or none, when nothing fits. Default of `count` 3. */
  query(text: string, count?: number): Promise<readonly Piece[]>
}

/** A piece of a text and where it stands. */
export interface Piece {
  readonly text: string
  readonly file: string
}

/** The knowledge of a behaviour; undefined when it has none. */
export function knowledgeOf(behaviour: Behaviour): Knowledge | undefined {
  const found = (behaviour as Partial<KnowledgeBehaviour>).knowledge
  return typeof found?.query === 'function' ? found : undefined
}
