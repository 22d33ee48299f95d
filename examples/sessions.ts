// Inside one session messages are handled one after another, in order; different sessions run side by side.

import { setTimeout as sleep } from 'node:timers/promises'
import { createBus } from 'swarmbus'

await using bus = createBus()
const steps: string[] = []

bus.subscribe('chat.say', async (message) => {
  steps.push(`${message.session}: ${message.data} begins`)
  // The first message takes longest: order must not depend on that.
  await sleep(message.data === 'one' ? 30 : 5)
  steps.push(`${message.session}: ${message.data} ends`)
})

const ann = bus.session('ann')
const ben = bus.session('ben')
// A session's subscriptions hear only their own session.
ann.subscribe('chat.say', (message) => void steps.push(`ann's own listener: ${message.data}`))

for (const text of ['one', 'two']) {
  await ann.publish('chat.say', text)
  await ben.publish('chat.say', text)
}
await bus.idle()
for (const step of steps) console.log(step)

await ann.close()
await ann.publish('chat.say', 'three').catch((error) => console.log(error.code))
