import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type Server, startServer } from './server.ts'

/** A real nats-server with JetStream; `config` is added to its configuration file. */
export function startNats(config: string = ''): Promise<Server> {
  return startServer({
    name: 'nats',
    url: (port) => `nats://127.0.0.1:${port}`,
    command(port, folder) {
      const file = join(folder, 'nats.conf')
      writeFileSync(
        file,
        `listen: 127.0.0.1:${port}\njetstream { store_dir: "${join(folder, 'data')}", max_file_store: 10GB }\n${config}\n`,
      )
      return ['nats-server', '-c', file]
    },
    ping,
  })
}

async function ping(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  try {
    const [bytes] = (await once(socket, 'data', { signal: AbortSignal.timeout(1_000) })) as [Buffer]
    if (!bytes.toString().startsWith('INFO')) throw new Error('this is no NATS server')
  } finally {
    socket.destroy()
  }
}
