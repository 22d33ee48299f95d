import { aText, checkOption, type Rule } from '../kit/check.ts'
import { BusError } from '../kit/errors.ts'
import type { KindDefinition } from './kind.ts'
import { nearest } from './nearest.ts'

/** The kinds that a swarm knows. */
export interface Catalog {
  /** Adds a kind. Throws INVALID_OPTION for a name that is taken, or is not one word or two. */
  add(definition: KindDefinition): void
  /** By its name, or another spelling of it. */
  find(kind: string): KindDefinition | undefined
  /** As `find`. Throws CONFIG_INVALID, with the nearest name and all of them. */
  get(kind: string): KindDefinition
  /** All of them, in the order in which they were added. */
  list(): readonly KindDefinition[]
  /** The kind whose name is most like a wrong one. */
  nearest(kind: string): string | undefined
}

const kindName: Rule = {
  allowed: 'one word or two, of letters, digits, "_" and "-"',
  ok: (value) => typeof value === 'string' && /^[A-Za-z_][\w-]*( [A-Za-z_][\w-]*)?$/.test(value),
}

/** Makes a catalogue of kinds; users add their own. Throws INVALID_OPTION. */
export function createCatalog(kinds: Iterable<KindDefinition> = []): Catalog {
  const all = new Map<string, KindDefinition>()
  const names = new Map<string, KindDefinition>()
  const catalog: Catalog = Object.freeze({
    add(definition) {
      const own = [definition?.kind, ...(definition?.also ?? [])]
      for (const name of own) checkOption('catalog.add', 'kind', name, kindName)
      const taken = own.find((name) => names.has(name))
      if (taken !== undefined) {
        throw new BusError('INVALID_OPTION', `catalog.add: there is a kind "${taken}" already`, {
          details: { owner: 'catalog.add', field: 'kind', value: taken, allowed: 'a name that is not taken' },
        })
      }
      all.set(definition.kind, definition)
      for (const name of own) names.set(name, definition)
    },
    find: (kind) => names.get(kind),
    get(kind) {
      checkOption('catalog.get', 'kind', kind, aText)
      const found = names.get(kind)
      if (found !== undefined) return found
      const near = catalog.nearest(kind)
      const known = [...all.keys()]
      const hint = near === undefined ? `there are: ${known.join(', ')}` : `did you mean "${near}"?`
      throw new BusError('CONFIG_INVALID', `there is no kind "${kind}"; ${hint}`, {
        details: { kind, nearest: near, known },
      })
    },
    list: () => [...all.values()],
    nearest: (kind) => nearest(kind, names.keys()),
  } satisfies Catalog)
  for (const one of kinds) catalog.add(one)
  return catalog
}
