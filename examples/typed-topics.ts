// A topic with a schema (zod here; valibot, arktype and every other Standard Schema work the same): bad data never leaves.

import { createBus, defineTopic, isBusError } from 'swarmbus'
import { z } from 'zod'

const coding = defineTopic(
  'tasks.coding',
  z.object({ title: z.string().min(3), files: z.array(z.string()).default([]), points: z.number().int().max(13) }),
)

// Given to the bus, the schema holds for everybody, also for those who name the topic as text.
await using bus = createBus({ topics: [coding] })

bus.subscribe(coding, ({ data }) => {
  // `data` has the type that the schema makes.
  console.log(`${data.title}: ${data.points} points, ${data.files.length} files`)
})

await bus.publish(coding, { title: 'fix auth', points: 3, files: ['auth.ts'] })
await bus.publish('tasks.coding', { title: 'defaults are filled in', points: 1 })

for (const wrong of [
  { title: 'no', points: 3 },
  { title: 'too large', points: 21 },
]) {
  try {
    await bus.publish('tasks.coding', wrong)
  } catch (error) {
    if (isBusError(error, 'SCHEMA_MISMATCH')) console.log(`refused at ${error.details.path}`)
  }
}
await bus.idle()
