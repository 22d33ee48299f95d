import type { Knowledge } from '../knowledge/knowledge.ts'
import type { Memory } from '../memory/memory.ts'

/** What stands around a model. */
export interface Surroundings {
  readonly prompt: string | undefined
  readonly memory: Memory | undefined
  readonly knowledge: Knowledge | undefined
  /** How many pieces of the knowledge base are added. */
  readonly hits: number
}

/** What a model is told before a question: its prompt, then what the knowledge base has for the question. Undefined for nothing. */
export async function systemText(
  { prompt, knowledge, hits }: Surroundings,
  question: string,
): Promise<string | undefined> {
  const pieces = (await knowledge?.query(question, hits)) ?? []
  const known = pieces.map(({ file, text }) => `[${file}]\n${text}`)
  const context =
    known.length === 0 ? [] : [`What is known of it, with the names of the files:\n\n${known.join('\n\n')}`]
  const texts = [...(prompt === undefined ? [] : [prompt]), ...context]
  return texts.length === 0 ? undefined : texts.join('\n\n')
}
