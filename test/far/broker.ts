import { connectNats } from '../../src/broker/nats/connect.ts'
import { connectRedis } from '../../src/broker/redis/connect.ts'
import { natsWire } from '../../src/wire/nats.ts'
import { redisWire } from '../../src/wire/redis/redis.ts'
import type { Wire } from '../../src/wire/wire.ts'

/** A wire over the broker of a url, and the link below it. */
export async function openWire(url: string, prefix: string): Promise<{ wire: Wire; link: AsyncDisposable }> {
  if (url.startsWith('redis')) {
    const link = await connectRedis(url)
    return { link, wire: redisWire(link, { prefix }) }
  }
  const link = await connectNats(url)
  return { link, wire: natsWire(link, { prefix }) }
}
