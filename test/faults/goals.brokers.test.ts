import { expect, onTestFinished, test } from 'vitest'
import type { Bus } from '../../src/index.ts'
import { soak } from './soak.ts'
import { KINDS, open, placeOn } from './support.ts'

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
