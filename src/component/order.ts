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
  const needs = ({ name, references }: T): readonly T[] =>
    references.flatMap((needed) => (needed === name ? [] : (byName.get(needed) ?? [])))
  return behind(all, needs, (path) => {
    const circle = [...path, path[0] as T].map((one) => one.name)
    throw new BusError('CONFIG_INVALID', `components that need each other: ${circle.join(' → ')}`, {
      details: { circle },
    })
  })
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
  const targets = ({ name }: T): readonly T[] => targetsOf(name).flatMap((target) => byName.get(target) ?? [])
  return inOrder(behind(all, targets, () => undefined))
}

/** Everything behind what it needs; `onCircle` is told of each circle. A stack of its own: chains may be of any length. */
function behind<T>(
  all: readonly T[],
  needs: (one: T) => readonly T[],
  onCircle: (path: readonly T[]) => void,
): readonly T[] {
  const met = new Set<T>()
  const order: T[] = []
  const path: { readonly one: T; readonly rest: Iterator<T> }[] = []
  const onPath = new Set<T>()
  const enter = (one: T): void => {
    met.add(one)
    onPath.add(one)
    path.push({ one, rest: needs(one)[Symbol.iterator]() })
  }
  for (const start of all) {
    if (!met.has(start)) enter(start)
    for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
      const { done, value } = last.rest.next()
      if (done === true) {
        path.pop()
        onPath.delete(last.one)
        order.push(last.one)
      } else if (onPath.has(value)) {
        const names = path.map(({ one }) => one)
        onCircle(names.slice(names.indexOf(value)))
      } else if (!met.has(value)) enter(value)
    }
  }
  return order
}
