import { expect, onTestFinished, test } from 'vitest'
import type { Bus } from '../../src/index.ts'
import { soak } from './soak.ts'
import { child, KINDS, open, placeOn } from './support.ts'

/** The same faults in every run. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 2_147_483_648
  }
}

test.each(KINDS)(
  '[C74] [I1] [I6] a short soak on $name with kills, stops, resets and delays: nothing lost, nothing dead, no session out of order, back within 30 s',
  async ({ name, start }) => {
    const server = await start()
    onTestFinished(() => server[Symbol.asyncDispose]())
    const report = await soak(name, server, 10_000, randomFrom(7))
    expect(report).toMatchObject({ lost: [], overtaking: [], deadLetters: 0 })
    expect(report.acked).toBeGreaterThan(500)
    expect(Object.keys(report.faults).length).toBeGreaterThan(1)
    expect(report.slowestReturnMs).toBeLessThan(30_000)
  },
  90_000,
)

test.each(KINDS)(
  '[C74] 120 agents in six buses on one $name: each hears what is its own, and all go on within 30 s after the broker crashed',
  async ({ start }) => {
    const server = await start()
    onTestFinished(() => server[Symbol.asyncDispose]())
    const url = placeOn(server.url)
    const buses = await Promise.all(
      Array.from({ length: 6 }, (_, at) => open(url, { name: `bus${at}`, unknownAgent: 'hold' })),
    )
    const got = new Map<string, unknown[]>()
    buses.forEach((bus, at) => {
      for (let number = 0; number < 20; number++) {
        const name = `agent${at}-${number}`
        got.set(name, [])
        bus.register(name, { handler: ({ data }) => void got.get(name)?.push(data) })
      }
    })
    const names = [...got.keys()]
    const sendAll = (data: string): Promise<unknown> =>
      Promise.all(names.map((name, at) => (buses[(at + 1) % 6] as Bus).send(name, `${data} ${name}`)))
    await sendAll('first')
    await expect.poll(() => [...got.values()].filter((list) => list.length < 1).length, { timeout: 30_000 }).toBe(0)
    await server.kill()
    await server.start()
    const backMs = performance.now()
    await expect.poll(() => sendAll('second').then(() => 'sent', String), { timeout: 30_000 }).toBe('sent')
    await expect
      .poll(() => names.filter((name) => !got.get(name)?.includes(`second ${name}`)), { timeout: 30_000 })
      .toEqual([])
    expect(performance.now() - backMs).toBeLessThan(30_000)
    for (const [name, list] of got) expect(new Set(list)).toEqual(new Set([`first ${name}`, `second ${name}`]))
  },
  120_000,
)

test.each(KINDS)(
  '[C74] a process on $name that starts from nothing has 100 agents at work within 10 s, and then holds less than 100 MB',
  async ({ start }) => {
    const server = await start()
    onTestFinished(() => server[Symbol.asyncDispose]())
    const fromMs = performance.now()
    const one = await child(
      placeOn(server.url),
      `{ name: 'hundred' }`,
      `
      let handled = 0
      const names = Array.from({ length: 100 }, (_, at) => 'agent' + at)
      for (const name of names) bus.register(name, { handler: () => void handled++ })
      await Promise.all(names.map((name) => bus.send(name, 'first', { until: 'handled' })))
      say('at work')
      for (let round = 0; round < 20; round++) await Promise.all(names.map((name) => bus.send(name, round, { until: 'handled' })))
      const { setFlagsFromString } = await import('node:v8')
      const { runInNewContext } = await import('node:vm')
      setFlagsFromString('--expose-gc')
      runInNewContext('gc')()
      // Of what the process takes beside, most goes to the source, which is read as TypeScript here.
      const { heapUsed, external } = process.memoryUsage()
      say(JSON.stringify({ handled, bytes: heapUsed + external }))
      `,
    )
    await expect.poll(() => one.lines, { timeout: 20_000 }).toContain('at work')
    expect(performance.now() - fromMs).toBeLessThan(10_000)
    await expect.poll(() => one.lines.length, { timeout: 30_000 }).toBe(2)
    const { handled, bytes } = JSON.parse(one.lines[1] as string) as { handled: number; bytes: number }
    expect(handled).toBe(2_100)
    expect(bytes).toBeLessThan(100_000_000)
  },
  60_000,
)
