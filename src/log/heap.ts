// Hot path: two parallel arrays, so that comparing keys follows no pointer.

/** A binary heap: the value with the smallest key first. Push and shift cost O(log n), peek nothing. */
export class Heap<T> {
  #keys: number[] = []
  #values: T[] = []

  get size(): number {
    return this.#keys.length
  }

  /** The smallest key; Infinity when empty. */
  get key(): number {
    return this.#keys.length === 0 ? Number.POSITIVE_INFINITY : (this.#keys[0] as number)
  }

  peek(): T | undefined {
    return this.#values[0]
  }

  push(key: number, value: T): void {
    const keys = this.#keys
    const values = this.#values
    let at = keys.length
    keys.push(key)
    values.push(value)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if ((keys[parent] as number) <= key) break
      keys[at] = keys[parent] as number
      values[at] = values[parent] as T
      at = parent
    }
    keys[at] = key
    values[at] = value
  }

  shift(): T | undefined {
    const keys = this.#keys
    const values = this.#values
    if (keys.length === 0) return undefined
    const first = values[0]
    const key = keys.pop() as number
    const value = values.pop() as T
    const size = keys.length
    if (size === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= size) break
      if (child + 1 < size && (keys[child + 1] as number) < (keys[child] as number)) child++
      if ((keys[child] as number) >= key) break
      keys[at] = keys[child] as number
      values[at] = values[child] as T
      at = child
    }
    keys[at] = key
    values[at] = value
    return first
  }

  /** Takes out every value for which `keep` is false. */
  filter(keep: (value: T) => boolean): void {
    const keys = this.#keys
    const values = this.#values
    this.#keys = []
    this.#values = []
    for (const [at, value] of values.entries()) if (keep(value)) this.push(keys[at] as number, value)
  }
}
