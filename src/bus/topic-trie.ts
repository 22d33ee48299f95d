// The lists of a branch are made when needed: an idle agent is one branch with one value, and there may be tens of thousands.
interface Branch<T> {
  next: Map<string, Branch<T>> | undefined
  here: T[] | undefined
  rest: T[] | undefined
}

function newBranch<T>(): Branch<T> {
  return { next: undefined, here: undefined, rest: undefined }
}

/**
 * Patterns by token. Matching walks one literal and one `*` branch per token, never back; `>` matches one or more trailing tokens.
 * Patterns and topics must have been parsed (`message/topic`).
 */
export class TopicTrie<T> {
  readonly #root = newBranch<T>()
  #size = 0
  #branches = 0

  /** How many values are in. */
  get size(): number {
    return this.#size
  }

  /** How many branches exist below the root: 0 again when everything was removed. */
  get branches(): number {
    return this.#branches
  }

  add(pattern: readonly string[], value: T): void {
    const all = pattern.at(-1) === '>'
    const branch = this.#reach(all ? pattern.slice(0, -1) : pattern)
    const list = all ? branch.rest : branch.here
    if (list?.includes(value)) return
    if (list !== undefined) list.push(value)
    else if (all) branch.rest = [value]
    else branch.here = [value]
    this.#size++
  }

  /** Takes the value out and prunes empty branches; false when it was not there. */
  remove(pattern: readonly string[], value: T): boolean {
    const before = this.#size
    this.#removeBelow(this.#root, pattern, 0, value)
    return this.#size < before
  }

  /** Every value whose pattern fits the topic; a value added under several patterns comes once per fitting pattern. */
  match(topic: readonly string[]): T[] {
    const found: T[] = []
    collect(this.#root, topic, 0, found)
    return found
  }

  #reach(tokens: readonly string[]): Branch<T> {
    let branch = this.#root
    for (const token of tokens) {
      branch.next ??= new Map()
      let next = branch.next.get(token)
      if (next === undefined) {
        next = newBranch<T>()
        branch.next.set(token, next)
        this.#branches++
      }
      branch = next
    }
    return branch
  }

  /** The list without the value; undefined when nothing is left. */
  #without(list: T[] | undefined, value: T): T[] | undefined {
    const at = list?.indexOf(value) ?? -1
    if (list === undefined || at < 0) return list
    list.splice(at, 1)
    this.#size--
    return list.length === 0 ? undefined : list
  }

  #removeBelow(branch: Branch<T>, pattern: readonly string[], depth: number, value: T): void {
    const token = pattern[depth]
    if (token === undefined) {
      branch.here = this.#without(branch.here, value)
    } else if (token === '>' && depth === pattern.length - 1) {
      branch.rest = this.#without(branch.rest, value)
    } else {
      const next = branch.next?.get(token)
      if (next === undefined) return
      this.#removeBelow(next, pattern, depth + 1, value)
      if (next.next !== undefined || next.here !== undefined || next.rest !== undefined) return
      this.#branches--
      branch.next?.delete(token)
      if (branch.next?.size === 0) branch.next = undefined
    }
  }
}

function collect<T>(branch: Branch<T>, topic: readonly string[], depth: number, found: T[]): void {
  if (depth === topic.length) {
    if (branch.here !== undefined) for (const value of branch.here) found.push(value)
    return
  }
  if (branch.rest !== undefined) for (const value of branch.rest) found.push(value)
  if (branch.next === undefined) return
  const literal = branch.next.get(topic[depth] as string)
  if (literal !== undefined) collect(literal, topic, depth + 1, found)
  const any = branch.next.get('*')
  if (any !== undefined && any !== literal) collect(any, topic, depth + 1, found)
}
