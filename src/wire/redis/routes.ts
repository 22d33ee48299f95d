import type { RedisLine, RedisLink } from '../../broker/redis/link.ts'
import type { LinkEvent } from '../../broker/watch.ts'
import { backoffMs } from '../../kit/backoff.ts'
import type { Env, Timer } from '../../kit/env.ts'
import { BusError, isBusError } from '../../kit/errors.ts'

const BACKOFF = { firstMs: 50, mostMs: 2_000 }

/** One subscription at the server. */
export interface Route {
  /** The channel, or the glob. */
  readonly name: string
  readonly isGlob: boolean
  readonly onMessage: (bytes: Buffer, channel: string) => void
}

/** The subscriptions of a wire at the server, which follow what is wanted. */
export interface Routes {
  /** Resolves when the server has it; rejects with BROKER_REFUSED when it will not have it, with SUBSCRIPTION_ENDED when it is wanted no more. */
  want(route: Route): Promise<void>
  unwant(route: Route): void
  close(): Promise<void>
}

interface Wanted {
  readonly route: Route
  /** Renewed when the line is lost. */
  stands: PromiseWithResolvers<void>
  state: 'missing' | 'stands' | 'refused'
}

interface Standing {
  readonly route: Route
  /** Settles with the answer of the server. */
  readonly made: Promise<void>
}

/** How {@link keepRoutes} works. */
export interface RoutesParts {
  readonly link: RedisLink
  readonly env: Env
  /** Told of the connection that carries the subscriptions; it is `restored` when all of them stand again. */
  readonly onEvent: (event: LinkEvent) => void
}

/**
 * Keeps on a line of its own what is wanted. One pass at a time compares what is wanted with what stands and sends the difference, so however
 * fast subscriptions come and go, none of them is left behind or lost. A line that is lost is opened again, and everything subscribed anew.
 */
export function keepRoutes({ link, env, onEvent }: RoutesParts): Routes {
  const wanted = new Map<string, Wanted>()
  /** What stands on the present line, or is being made to. */
  const standing = new Map<string, Standing>()
  let line: RedisLine | undefined
  let busy = false
  let closed = false
  let timer: Timer | undefined
  let lostMs: number | undefined
  let tries = 0

  const watching = link.watch.on((event) => {
    if (event.type === 'restored' && timer !== undefined) retryNow()
  })

  function retryNow(): void {
    timer?.cancel()
    timer = undefined
    void follow()
  }

  async function follow(): Promise<void> {
    if (busy || closed || timer !== undefined) return
    busy = true
    try {
      for (;;) {
        if (line === undefined && wanted.size > 0 && timer === undefined) await open()
        const passes = line === undefined ? [] : difference(line)
        if (passes.length === 0) break
        await Promise.all(passes)
      }
      tellStanding()
    } catch (error) {
      // Whatever the line could not do, a new one can: nothing is known about the old one any more.
      leave(error as BusError)
    } finally {
      busy = false
    }
    // Wanted or lost while the last answers came.
    if (line !== undefined && isBehind()) void follow()
  }

  async function open(): Promise<void> {
    const made = await link.line()
    line = made
    standing.clear()
    made.onLost((why) => {
      if (line === made) drop(why)
    })
    if (closed) await made[Symbol.asyncDispose]()
  }

  function isBehind(): boolean {
    const missing = [...wanted.values()].some(({ state }) => state === 'missing')
    return missing || [...standing.keys()].some((name) => !wanted.has(name))
  }

  function difference(on: RedisLine): Promise<void>[] {
    const calls: Promise<void>[] = []
    for (const [name, { route }] of standing) {
      if (wanted.has(name)) continue
      standing.delete(name)
      calls.push(route.isGlob ? on.unsubscribePattern(name) : on.unsubscribe(name))
    }
    for (const one of wanted.values()) if (one.state === 'missing') calls.push(make(on, one))
    return calls
  }

  async function make(on: RedisLine, one: Wanted): Promise<void> {
    const { route } = one
    // Wanted again before it was taken away: it stands, or will.
    const known = standing.get(route.name) ?? { route, made: subscribe(on, route) }
    standing.set(route.name, known)
    try {
      await known.made
      if (standing.get(route.name) !== known) return
      one.state = 'stands'
      one.stands.resolve()
    } catch (error) {
      if (isBusError(error, 'BROKER_UNREACHABLE') || isBusError(error, 'BROKER_TIMEOUT')) throw error
      standing.delete(route.name)
      one.state = 'refused'
      one.stands.reject(error)
    }
  }

  function subscribe(on: RedisLine, { name, isGlob, onMessage }: Route): Promise<void> {
    return isGlob ? on.subscribePattern(name, onMessage) : on.subscribe(name, (bytes) => onMessage(bytes, name))
  }

  function tellStanding(): void {
    if (lostMs === undefined || line === undefined) return
    const event: LinkEvent = { type: 'restored', downMs: env.monotonicMs() - lostMs, tries }
    lostMs = undefined
    tries = 0
    onEvent(event)
  }

  /** The line is gone; the next one comes after a short wait. */
  function drop(why: string): void {
    const last = line
    line = undefined
    standing.clear()
    void last?.[Symbol.asyncDispose]()
    if (closed) return
    for (const one of wanted.values()) {
      if (one.state !== 'missing') one.stands = promised()
      one.state = 'missing'
    }
    if (lostMs === undefined) {
      lostMs = env.monotonicMs()
      onEvent({ type: 'lost', why })
    }
    again()
  }

  function leave(error: BusError): void {
    if (closed) return
    if (line !== undefined) drop(error.message)
    // It told of its own loss, or has just been dropped.
    if (timer !== undefined) return
    // There was none to be had.
    lostMs ??= env.monotonicMs()
    const nextMs = again()
    onEvent({ type: 'retry', tries, why: error.message, nextMs })
  }

  function again(): number {
    const waitMs = backoffMs(env, BACKOFF, ++tries)
    timer?.cancel()
    timer = env.after(waitMs, retryNow)
    return waitMs
  }

  return Object.freeze({
    want(route: Route): Promise<void> {
      const known = wanted.get(route.name)
      if (known !== undefined) return known.stands.promise
      const stands = promised()
      wanted.set(route.name, { route, stands, state: 'missing' })
      void follow()
      return stands.promise
    },

    unwant(route: Route): void {
      const why = `the subscription of ${route.name} has ended`
      wanted.get(route.name)?.stands.reject(new BusError('SUBSCRIPTION_ENDED', why))
      wanted.delete(route.name)
      void follow()
    },

    async close(): Promise<void> {
      closed = true
      watching[Symbol.dispose]()
      timer?.cancel()
      wanted.clear()
      await line?.[Symbol.asyncDispose]()
    },
  })
}

function promised(): PromiseWithResolvers<void> {
  const made = Promise.withResolvers<void>()
  // Who does not ask whether it stands is not bothered with it.
  made.promise.catch(() => undefined)
  return made
}
