import { expect, onTestFinished, test } from 'vitest'
import { child, faultOf, KINDS, type Kind, open, placeOn } from './support.ts'

const PINK = `
  bus.register('pink', { handler: ({ data }) => void say('got ' + data) })
  bus.subscribe('slow', () => { say('asked'); return new Promise(() => undefined) })
  bus.subscribe('count', async function* () { yield 1; yield 2; await new Promise(() => undefined) })
`

async function lose({ start, level: promised }: Kind): Promise<void> {
  const server = await start()
  onTestFinished(() => server[Symbol.asyncDispose]())
  const url = placeOn(server.url)
  const bus = await open(url, { unknownAgent: 'hold' })
  const pink = await child(url, `{ name: 'pink' }`, PINK)
  const agents = (): string[] => bus.processes().flatMap((one) => one.agents.map(({ name }) => name))
  await expect.poll(agents, { timeout: 10_000 }).toEqual(['pink'])
  await bus.send('pink', 'hello', { until: 'handled' })
  const request = faultOf(bus.request('slow', 1, { timeoutMs: 60_000 }))
  const parts: unknown[] = []
  const stream = faultOf(
    (async () => {
      for await (const part of bus.requestStream('count', 1, { stallMs: 60_000 })) parts.push(part)
    })(),
  )
  await expect.poll(() => pink.lines, { timeout: 10_000 }).toContain('asked')
  await expect.poll(() => parts, { timeout: 10_000 }).toEqual([1, 2])
  await pink.kill()
  const fromMs = performance.now()
  expect(await request).toMatchObject({ code: 'PROCESS_LOST', details: { name: 'pink' } })
  expect(await stream).toMatchObject({ code: 'PROCESS_LOST' })
  // It is missed when its signs of life are.
  expect(performance.now() - fromMs).toBeLessThan(25_000)
  expect(bus.processes()).toEqual([])
  const { level } = await bus.send('pink', 'you were away')
  expect(level).toBe(promised)
  const again = await child(url, `{ name: 'pink' }`, PINK)
  await expect.poll(() => again.lines, { timeout: 10_000 }).toEqual(['got you were away'])
}

// Both brokers at the same time: most of it is waiting for a process that is gone.
test('[V59] [C31] kill -9 of a process: its open requests and streams end with a typed error, and what is sent meanwhile waits for its return', async () => {
  await Promise.all(KINDS.map(lose))
}, 60_000)
