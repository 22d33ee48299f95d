import { expect, test } from 'vitest'
import { openBus } from '../../src/index.ts'
import { MODES, woodworkKeptModesCases } from './cases/woodwork-kept-modes.ts'
import { AT_ONCE, BACKENDS, child, file, until } from './support/kept.ts'

woodworkKeptModesCases(BACKENDS)

test('[W8] [WN1] [WN2] a process that is killed in its handler: at most once is not called again, the others are', async () => {
  const path = file()
  const options = JSON.stringify({
    channels: Object.fromEntries(MODES.map((mode) => [mode, { mode, retry: AT_ONCE }])),
  })
  const worker = child(
    path,
    options,
    `for (const mode of ${JSON.stringify(MODES)}) {
         bus.subscribe(mode, () => new Promise(() => say('in ' + mode)), { group: 'g' })
         await bus.publish(mode, 1)
       }`,
  )
  for (const mode of MODES) await worker.said(`in ${mode}`)
  await worker.kill()
  await using bus = await openBus(`sqlite:${path}`, JSON.parse(options))
  const calls: [string, number][] = []
  for (const mode of MODES) {
    bus.subscribe(mode, ({ topic }, { attempt }) => void calls.push([topic, attempt]), { group: 'g' })
  }
  await until(async () => (await bus.deadLetters.count()) === 1 && calls.length === 2)
  expect(calls.map(([mode]) => mode).sort()).toEqual(['at-least-once', 'exactly-once'])
  expect(await bus.deadLetters.list()).toMatchObject([{ channel: 'at-most-once', reason: 'agent-unresponsive' }])
  await until(async () => (await bus.channels()).every(({ ledger }) => ledger.pending + ledger.leased === 0))
}, 60_000)
