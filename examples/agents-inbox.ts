// Agents by name: direct messages, broadcasts, capabilities, and an inbox that is read by hand.

import { createBus, isBusError } from 'swarmbus'

await using bus = createBus()

const harold = bus.register('harold', { type: 'operations' })
bus.register('pink', { capabilities: ['coding'], handler: (message) => `pink did: ${message.data}` })
bus.register('red', { capabilities: ['coding', 'review'], handler: (message) => `red did: ${message.data}` })

// By name, and by what somebody can do.
const byName = await harold.request('agent.pink', 'fix auth')
const byCapability = await harold.request({ capability: 'review' }, 'look at auth')
console.log(byName.data)
console.log(byCapability.data)

// harold has no handler: messages wait in his inbox, highest priority first, until he takes them.
await bus.send('harold', 'a low one', { priority: 'low' })
await bus.send('harold', 'production is down', { priority: 'critical' })
console.log(`waiting: ${bus.queueSize('harold')}; first: ${(await harold.receive()).data}`)
console.log(`then: ${(await harold.receive()).data}`)

// Everybody but the sender.
const ack = await harold.broadcast('stand-up in five minutes')
console.log(`broadcast to ${ack.recipients} agents`)

// Nobody of that name: refused with the names that there are. Declared agents have their messages held.
await bus
  .send('pnik', 'typing fault')
  .catch((error) => isBusError(error, 'UNKNOWN_AGENT') && console.log(error.message))
bus.declare('blue')
const held = await bus.send('blue', 'welcome')
const blue = bus.register('blue')
console.log(`held: ${held.held}; blue reads: ${(await blue.receive()).data}`)
