// Every queue is bounded, and what happens when it is full has a name. Drops are counted, never silent.

import { setTimeout as sleep } from 'node:timers/promises'
import { createBus, isBusError, type Overflow } from 'swarmbus'

async function flood(overflow: Overflow): Promise<string> {
  await using bus = createBus({ limit: 4, overflow, waitMs: 2_000 })
  const handled: number[] = []
  const slow = bus.subscribe('work', async ({ data }) => {
    await sleep(2)
    handled.push(data as number)
  })
  let refused = 0
  for (let number = 0; number < 12; number++) {
    await bus.publish('work', number).catch((error) => {
      if (isBusError(error, 'QUEUE_FULL')) refused++
    })
  }
  await bus.idle()
  const { dropped } = slow.stats()
  const { ledger } = bus.stats()
  const sum = ledger.handled + ledger.dropped + ledger.failed + ledger.expired + ledger.pending
  return `handled ${handled.join(' ')} · dropped ${dropped} · refused ${refused} · balances ${ledger.published === sum}`
}

for (const overflow of ['wait', 'refuse', 'drop-oldest', 'drop-newest'] as const) {
  console.log(`${overflow}: ${await flood(overflow)}`)
}
