import type { Env } from '../kit/env.ts'

/** A UUIDv7: unique, and sorted by the time and order in which one bus made them. */
export type MessageId = string & { readonly __brand: 'MessageId' }

const LOW = Array.from({ length: 4_096 }, (_, value) => value.toString(16).padStart(3, '0'))
const FORM = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i

/** The lowest 24 bits of a number as six hex digits, without converting it. */
export function hexOf24(value: number): string {
  return (LOW[(value >>> 12) & 0xfff] as string) + (LOW[value & 0xfff] as string)
}

function hex(env: Env, digits: number): string {
  let text = ''
  while (text.length < digits)
    text += Math.floor(env.random() * 0x1_0000)
      .toString(16)
      .padStart(4, '0')
  return text.slice(0, digits)
}

/**
 * Makes ids in the UUIDv7 form of RFC 9562: 48 bits of milliseconds, 12 bits of counter, 50 random bits drawn anew for each value of
 * that counter, and 12 more bits of counter at the end (methods 1 and 2 of section 6.2). Strictly ascending per maker, also when the
 * clock is set back.
 */
export class IdMaker {
  readonly #env: Env
  #ms = -1
  #count = 0
  #head = ''

  constructor(env: Env) {
    this.#env = env
  }

  /** The next id for a wall-clock time in milliseconds. */
  next(wallMs: number): MessageId {
    if (wallMs > this.#ms) this.#begin(wallMs)
    const low = this.#count++ & 0xfff
    if (low === 0) this.#turn()
    return (this.#head + LOW[low]) as MessageId
  }

  #begin(ms: number): void {
    this.#ms = ms
    this.#count = 0
  }

  #turn(): void {
    // 2²⁴ ids in one millisecond: go on in the next one, which the clock has not reached yet.
    if (this.#count > 0x100_0000) {
      this.#begin(this.#ms + 1)
      this.#count = 1
    }
    const time = this.#ms.toString(16).padStart(12, '0')
    const random = hex(this.#env, 12)
    const variant = (8 + Math.floor(this.#env.random() * 4)).toString(16)
    const high = LOW[(this.#count - 1) >>> 12]
    this.#head = `${time.slice(0, 8)}-${time.slice(8)}-7${high}-${variant}${random.slice(0, 3)}-${random.slice(3)}`
  }
}

/** True for a text in the form of a UUID. */
export function isMessageId(value: unknown): value is MessageId {
  return typeof value === 'string' && FORM.test(value)
}

/** The wall-clock milliseconds that are written into a UUIDv7. */
export function timeOfId(id: MessageId): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}
