import type { Env, Timer } from '../kit/env.ts'
import { BusError } from '../kit/errors.ts'
import type { BoardOutcome } from './board-fold.ts'

/** What became of a change that was carried out. */
export type Done = Extract<BoardOutcome, { type: 'written' | 'deleted' }>

interface Asked {
  readonly key: string
  readonly expect: number | undefined
  readonly dueMs: number
  isStored: boolean
  readonly resolve: (outcome: Done) => void
  readonly reject: (error: unknown) => void
}

/** Who waits for a change: each is answered once, by its deadline. */
export class BoardDesk {
  readonly #env: Env
  readonly #board: string
  readonly #timeoutMs: number
  /** In the order of their deadlines, which are all equally long. */
  readonly #asked = new Map<string, Asked>()
  #timer: Timer | undefined

  constructor(env: Env, board: string, timeoutMs: number) {
    this.#env = env
    this.#board = board
    this.#timeoutMs = timeoutMs
  }

  /** Resolves or rejects with what is told of the id below. */
  ask(id: string, key: string, expect: number | undefined): Promise<Done> {
    const { promise, resolve, reject } = Promise.withResolvers<Done>()
    const dueMs = this.#env.monotonicMs() + this.#timeoutMs
    this.#asked.set(id, { key, expect, dueMs, isStored: false, resolve, reject })
    this.#timer ??= this.#arm(this.#timeoutMs)
    return promise
  }

  stored(id: string): void {
    const asked = this.#asked.get(id)
    if (asked !== undefined) asked.isStored = true
  }

  /** It was not stored. */
  failed(id: string, error: unknown): void {
    this.#take(id)?.reject(error)
  }

  /** Its place in the stream has decided it. True when somebody waited for it. */
  decided(id: string, outcome: BoardOutcome): boolean {
    const asked = this.#take(id)
    if (asked === undefined) return false
    const { key, expect } = asked
    switch (outcome.type) {
      case 'conflict': {
        const { actual } = outcome
        const is = actual === 0 ? 'does not exist' : `has version ${actual}`
        const details = { key, expected: expect, actual }
        asked.reject(new BusError('VERSION_CONFLICT', `"${key}" ${is}, not ${expect}`, { details }))
        return true
      }
      case 'full': {
        const { keys } = outcome
        asked.reject(new BusError('BLACKBOARD_FULL', `"${this.#board}" holds ${keys} keys`, { details: { key, keys } }))
        return true
      }
      case 'written':
      case 'deleted':
        asked.resolve(outcome)
        return true
      default:
        return outcome satisfies never
    }
  }

  /** Nobody will know any more what came of those that are stored. */
  doubt(): void {
    for (const [id, { isStored }] of this.#asked) if (isStored) this.#giveUp(id, 'its place in the log is gone')
  }

  close(over: BusError): void {
    this.#timer?.cancel()
    this.doubt()
    for (const id of [...this.#asked.keys()]) this.failed(id, over)
  }

  #take(id: string): Asked | undefined {
    const asked = this.#asked.get(id)
    this.#asked.delete(id)
    return asked
  }

  #giveUp(id: string, why: string): void {
    const asked = this.#take(id)
    const text = `it is not known what came of the change of "${asked?.key}": ${why}; read it again`
    asked?.reject(new BusError('PUBLISH_UNKNOWN', text, { details: { id, key: asked.key } }))
  }

  #arm(delayMs: number): Timer {
    return this.#env.after(delayMs, () => {
      this.#timer = undefined
      const nowMs = this.#env.monotonicMs()
      for (const [id, { dueMs }] of this.#asked) {
        if (dueMs > nowMs) {
          this.#timer = this.#arm(dueMs - nowMs)
          return
        }
        this.#giveUp(id, `no answer within ${this.#timeoutMs} ms`)
      }
    })
  }
}
