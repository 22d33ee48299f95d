// A handler that is an async generator answers in parts. Every observer gets every part; the last one to leave stops the producer.

import { createBus, isBusError } from 'swarmbus'

await using bus = createBus()
const stopped = Promise.withResolvers<string>()

bus.subscribe('llm.chat', async function* chat(message, context) {
  const words = `you asked: ${message.data} and I answer word by word`.split(' ')
  let at = 0
  try {
    for (;;) {
      yield words[at++ % words.length]
      context.signal.throwIfAborted()
    }
  } finally {
    stopped.resolve(`the producer stopped after ${at} words`)
  }
})

const reply = bus.requestStream<string>('llm.chat', 'why?')

async function observe(name: string, many: number): Promise<void> {
  const heard: string[] = []
  for await (const word of reply) {
    heard.push(word)
    if (heard.length === many) break
  }
  console.log(`${name}: ${heard.join(' ')}`)
}

// Two observers of one answer; each begins at the first part and leaves when it has enough.
await Promise.all([observe('the screen', 4), observe('the log', 8)])
console.log((await stopped.promise).replace(/\d+/, 'some'))

// The same by hand: `cancel` stops the producer, and whoever still reads is told.
const second = bus.requestStream<string>('llm.chat', 'again?')
try {
  for await (const word of second) if (word === 'again?') second.cancel('enough')
} catch (error) {
  if (isBusError(error)) console.log(`cancelled: ${error.code}`)
}
