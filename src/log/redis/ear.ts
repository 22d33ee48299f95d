import type { RedisLine, RedisLink } from '../../broker/redis/link.ts'
import { backoffMs } from '../../kit/backoff.ts'
import type { Env } from '../../kit/env.ts'

/** Who is spoken to. */
export interface Addressee {
  readonly base: string
  heard(bytes: Buffer): void
  restored(): Promise<void>
}

const BACKOFF = { firstMs: 50, mostMs: 2_000 }

/**
 * Hears what scripts say to this log: one connection for all channels; in a cluster one for each, since it must be to the node of the
 * channel. That it is open also tells others that this process lives.
 */
export class Ear {
  readonly #env: Env
  readonly #link: RedisLink
  readonly #me: string
  readonly #lines = new Map<string, Promise<RedisLine>>()
  readonly #listening = new Set<Addressee>()
  /** Lines that wait for their next try, with what begins it. */
  readonly #reopening = new Map<string, () => void>()
  #closed = false

  constructor(env: Env, link: RedisLink, me: string) {
    this.#env = env
    this.#link = link
    this.#me = me
  }

  /** Resolves once what is said to this log in the channel is heard. */
  async listen(to: Addressee): Promise<void> {
    this.#listening.add(to)
    await this.#subscribe(to)
  }

  async leave(to: Addressee): Promise<void> {
    if (!this.#listening.delete(to)) return
    const line = await this.#lines.get(this.#lineOf(to))?.catch(() => undefined)
    await line?.unsubscribe(this.#nameOf(to)).catch(() => undefined)
  }

  /** The connection is back: nothing needs to be waited for. */
  hurry(): void {
    for (const run of [...this.#reopening.values()]) run()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.hurry()
    this.#listening.clear()
    const lines = [...this.#lines.values()]
    this.#lines.clear()
    for (const line of lines) await line.then((one) => one[Symbol.asyncDispose]()).catch(() => undefined)
  }

  #lineOf(to: Addressee): string {
    return this.#link.kind === 'cluster' ? to.base : ''
  }

  #nameOf(to: Addressee): string {
    return `${to.base}@${this.#me}`
  }

  async #subscribe(to: Addressee): Promise<void> {
    const line = await this.#line(to)
    await line.subscribe(this.#nameOf(to), (bytes) => to.heard(bytes))
  }

  #line(to: Addressee): Promise<RedisLine> {
    const name = this.#lineOf(to)
    let line = this.#lines.get(name)
    if (line !== undefined) return line
    line = this.#link.line(to.base)
    this.#lines.set(name, line)
    const opened = line
    opened.then(
      (one) =>
        one.onLost(() => {
          if (this.#lines.get(name) !== opened) return
          this.#lines.delete(name)
          this.#reopen(name, 1)
        }),
      () => {
        if (this.#lines.get(name) === opened) this.#lines.delete(name)
      },
    )
    return line
  }

  #reopen(name: string, tries: number): void {
    if (this.#closed || (tries === 1 && this.#reopening.has(name))) return
    const run = (): void => {
      timer.cancel()
      this.#reopening.set(name, () => undefined)
      if (this.#closed) return
      const theirs = [...this.#listening].filter((to) => this.#lineOf(to) === name)
      Promise.all(theirs.map((to) => this.#subscribe(to))).then(
        () => {
          this.#reopening.delete(name)
          // What was said meanwhile was said to nobody.
          for (const to of theirs) void to.restored().catch(() => undefined)
        },
        () => this.#reopen(name, tries + 1),
      )
    }
    const timer = this.#env.after(backoffMs(this.#env, BACKOFF, tries), run)
    this.#reopening.set(name, run)
  }
}
