// Everything that wraps a handler has one type: (next: Handler) => Handler. Here: timing, one retry, and a report of failures.

import { createBus, type Middleware } from 'swarmbus'

await using bus = createBus({
  // What fails leaves the bus here, once for each delivery.
  onFailure: ({ message, name, reason, error }) => {
    console.log(`failure: ${name} on ${message.topic}, ${reason}, ${(error as Error).message}`)
  },
})

const calls = new Map<string, number>()
const timing: Middleware = (next) => async (message, context) => {
  const startMs = performance.now()
  try {
    return await next(message, context)
  } finally {
    calls.set(context.name, (calls.get(context.name) ?? 0) + 1)
    console.log(`${context.name} took ${performance.now() - startMs >= 0 ? 'some' : 'no'} time on ${message.topic}`)
  }
}
const retryOnce: Middleware = (next) => async (message, context) => {
  try {
    return await next(message, context)
  } catch {
    return await next(message, context)
  }
}

// On the whole bus, the first the outermost; and around one handler only.
const takeOff = bus.use(timing)
let tries = 0
bus.subscribe(
  'jobs.flaky',
  () => {
    tries++
    if (tries === 1) throw new Error('not yet')
    return `worked at attempt ${tries}`
  },
  { name: 'flaky', middleware: [retryOnce] },
)
bus.subscribe('jobs.broken', () => Promise.reject(new Error('never works')), { name: 'broken' })

console.log((await bus.request('jobs.flaky', {})).data)
await bus.publish('jobs.broken', {}, { until: 'handled' })
takeOff()
await bus.publish('jobs.broken', {}, { until: 'handled' })
console.log(`timed: ${[...calls].map(([name, count]) => `${name} ${count}`).join(', ')}`)
