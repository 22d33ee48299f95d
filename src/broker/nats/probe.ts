import { createConnection } from 'node:net'
import type { Env } from '../../kit/env.ts'

/**
 * Resolves once a NATS server at `host:port` says a first word; `silent` ones need only take the connection. The client leaves the socket
 * of a first connection open when nobody answers on it, which keeps the process alive; this one is always closed.
 */
export function probeNats(env: Env, place: string, timeoutMs: number, silent: boolean): Promise<void> {
  const colon = place.lastIndexOf(':')
  const host = place.slice(0, colon).replace(/^\[|\]$/g, '')
  return new Promise((resolve, reject) => {
    const socket = createConnection(Number(place.slice(colon + 1)), host)
    const timer = env.after(timeoutMs, () => end(new Error(`${place} did not answer in ${timeoutMs} ms`)))
    const end = (fault?: Error): void => {
      timer.cancel()
      socket.destroy()
      if (fault === undefined) resolve()
      else reject(fault)
    }
    socket.once(silent ? 'connect' : 'data', () => end())
    // An error may still come after the end.
    socket.on('error', (error) => end(error))
    socket.once('close', () => end(new Error(`${place} closed the connection`)))
  })
}
