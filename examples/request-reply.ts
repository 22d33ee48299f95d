// A request never hangs: it is answered, or it fails with a code that says why.

import { setTimeout as sleep } from 'node:timers/promises'
import { createBus, isBusError } from 'swarmbus'

await using bus = createBus()

bus.subscribe('math.add', (message) => {
  const { a, b } = message.data as { a: number; b: number }
  return a + b
})
bus.subscribe('math.divide', (message) => {
  const { a, b } = message.data as { a: number; b: number }
  if (b === 0) throw new Error('division by zero')
  return a / b
})
// Obeys the signal, which is aborted as soon as nobody waits for the answer any more.
bus.subscribe('math.slow', (_message, { signal }) => sleep(60_000, 0, { signal }))

const answer = await bus.request<number>('math.add', { a: 2, b: 3 })
console.log(
  `2 + 3 = ${answer.data}; the answer was caused by ${answer.causationId === answer.rootId ? 'the request' : '?'}`,
)

for (const [topic, data] of [
  ['math.divide', { a: 1, b: 0 }],
  ['math.slow', {}],
  ['math.nobody', {}],
] as const) {
  try {
    await bus.request(topic, data, { timeoutMs: 50 })
  } catch (error) {
    if (isBusError(error)) console.log(`${topic}: ${error.code}, ${error.message}`)
  }
}

const [sum, other] = await bus.requestAll<number>([
  ['math.add', { a: 1, b: 1 }],
  ['math.add', { a: 2, b: 2 }],
])
console.log(`at once: ${sum?.data} and ${other?.data}`)
