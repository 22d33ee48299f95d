// One question, many answers: ends by count, by silence, by a sentinel or by time, whatever comes first.

import { createBus } from 'swarmbus'

await using bus = createBus()

interface Vote {
  readonly by: string
  readonly yes: boolean
}

for (const [name, yes] of [
  ['pink', true],
  ['red', false],
  ['harold', true],
] as const) {
  bus.subscribe('votes', (): Vote => ({ by: name, yes }), { name })
}
// Looks on: gets the question as well, but does not count as somebody who could answer.
bus.subscribe('votes', () => undefined, { name: 'journal', observer: true })

async function ask(limits: Parameters<typeof bus.requestMany>[2]): Promise<Vote[]> {
  const votes: Vote[] = []
  for await (const answer of bus.requestMany<Vote>('votes', { text: 'deploy today?' }, limits)) votes.push(answer.data)
  return votes
}

const all = await ask({ count: 3 })
console.log(`all: ${all.filter((vote) => vote.yes).length} of ${all.length} say yes`)

const patient = await ask({ maxWaitMs: 1_000, stallMs: 20 })
console.log(`until 20 ms of silence: ${patient.length} answers`)

const untilNo = await ask({ sentinel: (answer) => !(answer.data as Vote).yes })
console.log(`until the first no: ${untilNo.map((vote) => vote.by).join(', ')}`)
