// The limits: the least that could do a bus's work. A ring, one microtask that serves it, a call. No envelope, no routing, no
// errors kept apart, no counters. Written for the machine.

/** A queue in a fixed ring. Throws when it is full: a benchmark that outruns it is wrong. */
export class Ring<T> {
  readonly #slots: (T | undefined)[]
  readonly #mask: number
  #head = 0
  #tail = 0

  /** `capacity` is a power of two. */
  constructor(capacity: number) {
    this.#slots = new Array<T | undefined>(capacity).fill(undefined)
    this.#mask = capacity - 1
  }

  get size(): number {
    return this.#tail - this.#head
  }

  push(value: T): void {
    if (this.#tail - this.#head > this.#mask) throw new Error('the ring is full')
    this.#slots[this.#tail++ & this.#mask] = value
  }

  shift(): T | undefined {
    const at = this.#head++ & this.#mask
    const value = this.#slots[at]
    this.#slots[at] = undefined
    return value
  }
}

/** Calls the handler for each value, in one microtask for all that wait. */
export class SyncRing<T> {
  readonly #ring: Ring<T>
  readonly #handle: (value: T) => unknown
  #armed = false

  constructor(handle: (value: T) => unknown, capacity: number = 2_048) {
    this.#ring = new Ring(capacity)
    this.#handle = handle
  }

  readonly #serve = (): void => {
    this.#armed = false
    const ring = this.#ring
    while (ring.size > 0) this.#handle(ring.shift() as T)
  }

  push(value: T): void {
    this.#ring.push(value)
    if (this.#armed) return
    this.#armed = true
    queueMicrotask(this.#serve)
  }
}

/** As {@link SyncRing}, but awaits each handler before the next value. */
export class AwaitingRing<T> {
  readonly #ring: Ring<T>
  readonly #handle: (value: T) => unknown
  #armed = false

  constructor(handle: (value: T) => unknown, capacity: number = 2_048) {
    this.#ring = new Ring(capacity)
    this.#handle = handle
  }

  readonly #begin = (): void => void this.#serve()

  async #serve(): Promise<void> {
    const ring = this.#ring
    while (ring.size > 0) await this.#handle(ring.shift() as T)
    this.#armed = false
  }

  push(value: T): void {
    this.#ring.push(value)
    if (this.#armed) return
    this.#armed = true
    queueMicrotask(this.#begin)
  }
}

/** A ring that one task reads by hand. */
export class RingInbox<T> {
  readonly #ring: Ring<T>
  #waiting: ((value: T) => void) | undefined = undefined

  constructor(capacity: number = 2_048) {
    this.#ring = new Ring(capacity)
  }

  push(value: T): void {
    const waiting = this.#waiting
    if (waiting === undefined) {
      this.#ring.push(value)
      return
    }
    this.#waiting = undefined
    waiting(value)
  }

  receive(): Promise<T> {
    if (this.#ring.size > 0) return Promise.resolve(this.#ring.shift() as T)
    return new Promise((resolve) => {
      this.#waiting = resolve
    })
  }
}
