import { BusError } from '../kit/errors.ts'
import type { KeyRule } from './kind.ts'
import { Reference, type Setting } from './spec.ts'

/**
 * The names of the components that settings name, in order, each once: references, and texts under keys of which the kind says that they
 * are references.
 */
export function referencesIn(
  settings: Readonly<Record<string, Setting>>,
  keys: Readonly<Record<string, KeyRule>> = {},
): readonly string[] {
  const found = new Set<string>()
  const look = (value: Setting | undefined, isName: boolean): void => {
    if (value instanceof Reference) found.add(value.name)
    else if (typeof value === 'string') {
      if (isName && value !== '') found.add(value)
    } else if (Array.isArray(value)) for (const one of value as readonly Setting[]) look(one, isName)
    else if (typeof value === 'object' && value !== null) {
      for (const one of Object.values(value)) look(one as Setting, false)
    }
  }
  for (const [key, value] of Object.entries(settings)) {
    const type = Object.hasOwn(keys, key) ? keys[key]?.type : undefined
    look(value, type === 'reference' || type === 'references')
  }
  return [...found]
}

interface Ordered {
  readonly name: string
  readonly references: readonly string[]
}

/** The same, each behind everything that it names. Throws CONFIG_INVALID for a circle, with its names. */
export function inOrder<T extends Ordered>(all: readonly T[]): readonly T[] {
  const byName = new Map(all.map((one) => [one.name, one]))
  const done = new Set<string>()
  const order: T[] = []
  const visit = (one: T, path: readonly string[]): void => {
    if (done.has(one.name)) return
    if (path.includes(one.name)) {
      const circle = [...path.slice(path.indexOf(one.name)), one.name]
      throw new BusError('CONFIG_INVALID', `components that need each other: ${circle.join(' → ')}`, {
        details: { circle },
      })
    }
    for (const name of one.references) {
      const needed = byName.get(name)
      if (needed !== undefined && needed !== one) visit(needed, [...path, one.name])
    }
    done.add(one.name)
    order.push(one)
  }
  for (const one of all) visit(one, [])
  return order
}

/**
 * The same, targets before whatever sends to them, as far as the routes make no cycle, and everything behind what it names in any case:
 * so nothing is sent before somebody takes it.
 */
export function startOrder<T extends Ordered>(
  all: readonly T[],
  targetsOf: (name: string) => readonly string[],
): readonly T[] {
  const byName = new Map(all.map((one) => [one.name, one]))
  const met = new Set<string>()
  const order: T[] = []
  const visit = (one: T): void => {
    if (met.has(one.name)) return
    met.add(one.name)
    for (const name of targetsOf(one.name)) {
      const target = byName.get(name)
      if (target !== undefined) visit(target)
    }
    order.push(one)
  }
  for (const one of all) visit(one)
  return inOrder(order)
}
