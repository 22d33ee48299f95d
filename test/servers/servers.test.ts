import { expect, test } from 'vitest'
import { startNats } from './nats.ts'
import { startRedis } from './redis.ts'
import type { Server } from './server.ts'

for (const [name, start] of [
  ['redis', () => startRedis()],
  ['nats', () => startNats()],
] as const) {
  test(`${name} starts on a port of its own, dies, starts again, and is gone in the end`, async () => {
    let server: Server
    {
      await using made = await start()
      server = made
      const { pid } = made
      expect(pid).toBeGreaterThan(0)
      await made.kill()
      expect(made.pid).toBe(0)
      await made.start()
      expect(made.pid).not.toBe(pid)
      await made.stop()
      await made.start({ wipe: true })
    }
    expect(server.pid).toBe(0)
  })
}
