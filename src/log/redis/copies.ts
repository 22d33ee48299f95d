import type { RedisLine, RedisLink } from '../../broker/redis/link.ts'
import type { Env } from '../../kit/env.ts'

// WAIT holds up everything behind it on its connection: so it has one of its own, and only publishers wait. It waits for what its own
// connection wrote last: therefore something is written there first, by a script that makes sure of being where the messages are.
// A server that was replaced meanwhile lacks them, or has them.

/** ARGV: pairs of stream and offset. */
const HERE = `
for i = 1, #ARGV, 2 do
  local behind = redis.call('HGET', KEYS[1] .. 'm:' .. ARGV[i], 'next')
  if not behind or tonumber(behind) <= tonumber(ARGV[i + 1]) then return redis.error_reply('GONE ' .. ARGV[i]) end
end
local mark = KEYS[1] .. 'copied'
redis.call('DEL', mark)
redis.call('SET', mark, '1')
redis.call('DEL', mark)
return 1
`

/** Where an append put its entries: the highest offset of each stream. */
export type Places = ReadonlyMap<string, number>

/** Asks how many replicas have what was appended. */
export class Copies {
  readonly #env: Env
  readonly #link: RedisLink
  readonly #replicas: number
  readonly #lines = new Map<string, Promise<RedisLine>>()
  #closed = false

  constructor({ env, link, replicas }: { readonly env: Env; readonly link: RedisLink; readonly replicas: number }) {
    this.#env = env
    this.#link = link
    this.#replicas = replicas
  }

  /** Resolves within `ms` to how many replicas have the entries for sure. */
  of(base: string, places: Places, ms: number): Promise<number> {
    return new Promise((resolve) => {
      const timer = this.#env.after(ms, () => resolve(0))
      this.#asked(base, places, ms).then(
        (copies) => {
          timer.cancel()
          resolve(copies)
        },
        () => {
          timer.cancel()
          resolve(0)
        },
      )
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    const lines = [...this.#lines.values()]
    this.#lines.clear()
    for (const line of lines) await line.then((one) => one[Symbol.asyncDispose]()).catch(() => undefined)
  }

  async #asked(base: string, places: Places, ms: number): Promise<number> {
    const line = await this.#line(base)
    const pairs = [...places].flatMap(([stream, offset]) => [stream, String(offset)])
    const here = line.command(['EVAL', HERE, '1', base, ...pairs])
    const copies = line.command(['WAIT', String(this.#replicas), String(Math.max(1, Math.floor(ms)))])
    copies.catch(() => undefined)
    await here
    return (await copies) as number
  }

  #line(base: string): Promise<RedisLine> {
    const name = this.#link.kind === 'cluster' ? base : ''
    let line = this.#closed ? undefined : this.#lines.get(name)
    if (line !== undefined) return line
    const opened = this.#link.line(base)
    line = opened
    this.#lines.set(name, opened)
    const forget = (): void => {
      if (this.#lines.get(name) === opened) this.#lines.delete(name)
    }
    opened.then((one) => {
      if (this.#closed) void one[Symbol.asyncDispose]()
      else one.onLost(forget)
    }, forget)
    return line
  }
}
