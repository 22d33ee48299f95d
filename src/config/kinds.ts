import type { Catalog } from '../component/catalog.ts'
import type { KindDefinition } from '../component/kind.ts'
import { ROLE_WORDS } from '../component/kinds/define.ts'
import { KIND_WORDS, kindOfWords } from '../component/kinds/words.ts'
import { nearest } from '../component/nearest.ts'

/** What the words of a kind come to: its definition, or what is wrong with them. */
export type KindChoice =
  | { readonly definition: KindDefinition }
  | {
      readonly code: 'unknown-kind' | 'ambiguous-kind'
      readonly message: string
      readonly hint?: string
      /** The key `role` names no role. */
      readonly isRole?: boolean
    }

/**
 * The kind that the words before a block mean. One word may mean several: then the key `role` decides, else the name of the component, or
 * the key whose value it is.
 */
export function chooseKind(catalog: Catalog, words: string, name: string, role: string | undefined): KindChoice {
  // Kinds are called by their names; a name of a user's kind wins over what the same word means otherwise.
  const own = catalog.find(words)
  if (own !== undefined) return { definition: own }
  const meaning = kindOfWords(words.split(' '), { name, ...(role === undefined ? {} : { role }) })
  if ('fault' in meaning) {
    const isRole = role !== undefined && !Object.hasOwn(ROLE_WORDS, role)
    return { code: 'ambiguous-kind', message: meaning.fault, isRole }
  }
  const definition = catalog.find(meaning.kind)
  if (definition !== undefined) return { definition }
  const all = catalog.list().map(({ kind }) => kind)
  const same = all.filter((kind) => kind.startsWith(`${words.split(' ')[0]} `))
  const near = catalog.nearest(words) ?? nearest(words, KIND_WORDS)
  return {
    code: 'unknown-kind',
    message: `there is no kind "${words}"; there are ${(same.length > 0 ? same : all).join(', ')}`,
    hint: near === undefined ? 'kinds of your own come from a module: include "kinds.ts"' : `did you mean "${near}"?`,
  }
}
