import type { Server } from 'node:http'
import type { Env, Timer } from '../../../kit/env.ts'
import { BusError } from '../../../kit/errors.ts'
import { type Access, addressOf } from './access.ts'

// The only file that knows the package "ws". It is looked for when a socket is wanted, and not before.

/** One open socket. */
export interface Socket {
  /** What stood behind the `?` of its address. */
  readonly query: URLSearchParams
  /** Sends as JSON. False when the socket is gone, or takes too little of what it is sent: it is closed then. */
  send(value: unknown): boolean
  close(code: number, reason: string): void
}

/** Told of sockets. */
export interface SocketEvents {
  opened(socket: Socket): void
  message(socket: Socket, text: string): void
  closed(socket: Socket): void
}

/** Limits of sockets. */
export interface SocketOptions {
  readonly env: Env
  readonly access: Access
  /** The path at which sockets are taken. */
  readonly paths: readonly string[]
  readonly mostBytes: number
  readonly mostSockets: number
  /** Milliseconds between two signs of life; a socket without an answer to one is closed at the next. */
  readonly pingMs: number
}

/** All sockets of a server. */
export interface Sockets {
  readonly count: number
  /** Says goodbye to every socket; cuts off those that are still there at the limit. */
  close(limitMs: number): Promise<void>
}

/** Bytes that may wait for a socket that reads too slowly. */
const MOST_WAITING_BYTES = 8 * 1_024 * 1_024

/** Takes sockets on a server. Rejects with UNSUPPORTED when the package "ws" is not there. */
export async function takeSockets(server: Server, options: SocketOptions, events: SocketEvents): Promise<Sockets> {
  const { env, access } = options
  const { WebSocketServer } = await loadWs()
  const wss = new WebSocketServer({ noServer: true, maxPayload: options.mostBytes })
  const alive = new WeakSet<object>()
  let timer: Timer | undefined

  server.on('upgrade', (request, stream, head) => {
    stream.on('error', () => stream.destroy())
    const { pathname, searchParams } = addressOf(request)
    const refusal = options.paths.includes(pathname)
      ? access.refuse(request)
      : { status: 404, error: 'there are no sockets here' }
    const full =
      wss.clients.size >= options.mostSockets ? { status: 503, error: 'too many sockets are open' } : undefined
    const no = refusal ?? full
    if (no !== undefined) {
      const body = JSON.stringify({ error: no.error })
      stream.end(
        `HTTP/1.1 ${no.status} Refused\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      )
      return
    }
    wss.handleUpgrade(request, stream, head, (ws) => {
      const socket: Socket = Object.freeze({
        query: searchParams,
        send(value: unknown): boolean {
          if (ws.readyState !== ws.OPEN) return false
          if (ws.bufferedAmount > MOST_WAITING_BYTES) {
            ws.close(1013, 'reads too slowly')
            return false
          }
          ws.send(JSON.stringify(value))
          return true
        },
        close: (code: number, reason: string): void => ws.close(code, reason),
      })
      alive.add(ws)
      ws.on('pong', () => alive.add(ws))
      // It closes itself with a code that says why; without a listener the process would end.
      ws.on('error', () => undefined)
      ws.on('close', () => events.closed(socket))
      ws.on('message', (data, isBinary) => {
        if (isBinary) ws.close(1003, 'texts only')
        else events.message(socket, String(data))
      })
      events.opened(socket)
    })
  })

  const ping = (): void => {
    for (const ws of wss.clients) {
      if (!alive.delete(ws)) ws.terminate()
      else ws.ping()
    }
    timer = env.after(options.pingMs, ping)
  }
  timer = env.after(options.pingMs, ping)

  return Object.freeze({
    get count() {
      return wss.clients.size
    },
    async close(limitMs: number): Promise<void> {
      timer?.cancel()
      const gone = [...wss.clients].map((ws) => new Promise<void>((resolve) => ws.once('close', () => resolve())))
      for (const ws of wss.clients) ws.close(1001, 'the server ends')
      const cut = env.after(limitMs, () => {
        for (const ws of wss.clients) ws.terminate()
      })
      await Promise.all(gone)
      cut.cancel()
      wss.close()
    },
  })
}

async function loadWs(): Promise<typeof import('ws')> {
  try {
    return await import('ws')
  } catch (cause) {
    if ((cause as { code?: unknown } | undefined)?.code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new BusError('UNSUPPORTED', 'sockets need the package "ws": npm install ws', { cause })
  }
}
