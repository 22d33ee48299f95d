import { once } from 'node:events'
import { connectRedis } from '../../src/broker/redis/connect.ts'
import { redisWire } from '../../src/wire/redis/redis.ts'

// Another process of the test: says "ready", then the topic and text of each frame, and answers it on the topic "answers".
const [url = '', prefix = ''] = process.argv.slice(2)
const link = await connectRedis(url)
const wire = redisWire(link, { prefix })
await wire.subscribe('questions.>', (topic, frame) => {
  process.send?.({ topic, text: Buffer.from(frame).toString() })
  wire.publish('answers', Buffer.concat([Buffer.from('to '), frame]))
}).ready
process.send?.('ready')
await once(process, 'message')
await wire[Symbol.asyncDispose]()
await link[Symbol.asyncDispose]()
process.disconnect()
