// Hot path: written for the machine. A power-of-two ring, so that the index needs no division.

const SMALLEST = 8

/** A first-in-first-out queue on a growing ring. Push and shift cost the same at any depth; an emptied ring gives its room back. */
export class Ring<T> {
  #slots: (T | undefined)[] = new Array<T | undefined>(SMALLEST)
  #head = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  push(value: T): void {
    const slots = this.#slots
    if (this.#size === slots.length) {
      this.#grow()
      this.push(value)
      return
    }
    slots[(this.#head + this.#size) & (slots.length - 1)] = value
    this.#size++
  }

  peek(): T | undefined {
    return this.#slots[this.#head]
  }

  shift(): T | undefined {
    if (this.#size === 0) return undefined
    const slots = this.#slots
    const head = this.#head
    const value = slots[head]
    slots[head] = undefined
    this.#head = (head + 1) & (slots.length - 1)
    // A burst must not hold its memory for ever; 4 096 slots are cheap to keep and dear to grow again.
    if (--this.#size === 0 && slots.length > 4_096) this.clear()
    return value
  }

  clear(): void {
    this.#slots = new Array<T | undefined>(SMALLEST)
    this.#head = 0
    this.#size = 0
  }

  /** Takes out every value for which `keep` is false; the others stay in order. Returns how many went. */
  filter(keep: (value: T) => boolean): number {
    const before = this.#size
    for (let left = before; left > 0; left--) {
      const value = this.shift() as T
      if (keep(value)) this.push(value)
    }
    return before - this.#size
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let index = 0; index < this.#size; index++) {
      yield this.#slots[(this.#head + index) & (this.#slots.length - 1)] as T
    }
  }

  #grow(): void {
    const old = this.#slots
    const slots = new Array<T | undefined>(old.length * 2)
    for (let index = 0; index < this.#size; index++) slots[index] = old[(this.#head + index) & (old.length - 1)]
    this.#slots = slots
    this.#head = 0
  }
}
