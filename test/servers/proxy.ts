import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** A TCP proxy on a loopback port that does to connections what networks do. Disposal resets them all. */
export interface Proxy extends AsyncDisposable {
  readonly port: number
  /** Connections that stand now. */
  readonly connections: number
  /** `redis://127.0.0.1:PORT`, say; `who` is put before the `@`. */
  url(kind: string, who?: string): string
  /** RST on both sides of all connections now. */
  reset(): void
  /**
   * Once: the request that fits goes through, its answer does not come back; its connection is reset instead. What the server sends before
   * the answer (by default: anything) passes. Resolves after the reset.
   */
  resetAfter(request: Fits, answer?: Fits): Promise<void>
  /** Nothing passes any more, in neither direction, not even the end of a connection; all stay open (half-open), new ones too. */
  stall(): void
  /** What waited goes on. */
  resume(): void
  /** Milliseconds that everything takes from now on, each way. */
  delay(ms: number): void
  /** New connections are reset at once. */
  refuse(): void
  accept(): void
}

/** Looks at bytes as they came, in one piece. */
export type Fits = (bytes: Buffer) => boolean

interface Trap {
  readonly request: Fits
  readonly answer: Fits
  readonly sprung: () => void
}

/** A proxy before a port of this machine. */
export async function startProxy(targetPort: number): Promise<Proxy> {
  const pairs = new Set<{ reset(): void; pump(): void }>()
  let stalled = false
  let refuses = false
  let delayMs = 0
  let trap: Trap | undefined

  /** One direction: bytes wait for their time, in order; `look` says whether they may pass. */
  function direction(from: Socket, to: Socket, look: (bytes: Buffer) => boolean): { pump(): void } {
    const waiting: { readonly bytes: Buffer | undefined; readonly dueMs: number }[] = []
    let timer: NodeJS.Timeout | undefined
    const pump = (): void => {
      clearTimeout(timer)
      for (;;) {
        const next = waiting[0]
        if (stalled || next === undefined || to.destroyed) break
        const leftMs = next.dueMs - performance.now()
        if (leftMs > 0) {
          timer = setTimeout(pump, leftMs)
          break
        }
        waiting.shift()
        if (next.bytes === undefined) to.end()
        else if (look(next.bytes)) to.write(next.bytes)
      }
      // Who sends into a stalled link finds its own buffers full, as on a real one.
      if (stalled) from.pause()
      else from.resume()
    }
    const take = (bytes?: Buffer): void => {
      waiting.push({ bytes, dueMs: Math.max(waiting.at(-1)?.dueMs ?? 0, performance.now() + delayMs) })
      pump()
    }
    from.on('data', (bytes: Buffer) => take(bytes))
    from.on('end', () => take())
    // Not that of `from`, whose last bytes are still to be passed on.
    to.on('close', () => clearTimeout(timer))
    return { pump }
  }

  function pair(client: Socket): void {
    const server = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true })
    let sprung: Trap | undefined
    const reset = (): void => {
      for (const socket of [client, server]) if (!socket.destroyed) socket.resetAndDestroy()
    }
    const there = direction(client, server, (bytes) => {
      if (trap?.request(bytes)) {
        sprung = trap
        trap = undefined
      }
      return true
    })
    const back = direction(server, client, (bytes) => {
      if (!sprung?.answer(bytes)) return true
      reset()
      sprung.sprung()
      return false
    })
    const both = {
      reset,
      pump(): void {
        there.pump()
        back.pump()
      },
    }
    pairs.add(both)
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.setNoDelay(true)
      one.on('error', () => other.resetAndDestroy())
      one.on('close', () => {
        if (client.destroyed && server.destroyed) pairs.delete(both)
      })
    }
    both.pump()
  }

  const listener = createServer({ allowHalfOpen: true }, (client) => {
    if (!refuses) return pair(client)
    client.on('error', () => undefined)
    client.resetAndDestroy()
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as { port: number }

  function resetAll(): void {
    for (const { reset } of [...pairs]) reset()
  }
  function pumpAll(): void {
    for (const { pump } of pairs) pump()
  }
  return {
    port,
    get connections() {
      return pairs.size
    },
    url: (kind, who = '') => `${kind}://${who === '' ? '' : `${who}@`}127.0.0.1:${port}`,
    reset: resetAll,
    resetAfter: (request, answer = () => true) =>
      new Promise((resolve) => {
        trap = { request, answer, sprung: resolve }
      }),
    stall() {
      stalled = true
      pumpAll()
    },
    resume() {
      stalled = false
      pumpAll()
    },
    delay(ms) {
      delayMs = ms
    },
    refuse() {
      refuses = true
    },
    accept() {
      refuses = false
    },
    async [Symbol.asyncDispose]() {
      const closed = once(listener, 'close')
      listener.close()
      resetAll()
      await closed
    },
  }
}
