import { once } from 'node:events'
import { connect } from 'node:net'
import { type Server, startServer } from './server.ts'

/** Settings of redis-server as on its command line, without the dashes: `{ appendonly: 'yes' }`. */
export type RedisSettings = Readonly<Record<string, string>>

/** A real redis-server; by default with `appendonly yes` and `appendfsync always`: nothing acknowledged is lost in a crash. */
export function startRedis(settings: RedisSettings = {}): Promise<Server> {
  const all: RedisSettings = { appendonly: 'yes', appendfsync: 'always', save: '', ...settings }
  return startServer({
    name: 'redis',
    url: (port) => `redis://127.0.0.1:${port}`,
    command: (port, folder) => [
      'redis-server',
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--daemonize', 'no'],
      ...Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]),
    ],
    ping,
  })
}

export async function ping(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    socket.write('PING\r\n')
    const [bytes] = (await once(socket, 'data', { signal: AbortSignal.timeout(1_000) })) as [Buffer]
    const answer = bytes.toString()
    // One that asks for a password answers, too.
    if (!/PONG|NOAUTH/.test(answer)) throw new Error(answer)
  } finally {
    socket.destroy()
  }
}
