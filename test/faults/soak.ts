import { setTimeout as sleep } from 'node:timers/promises'
import { type Bus, openBus } from '../../src/index.ts'
import { startProxy } from '../servers/proxy.ts'
import type { Server } from '../servers/server.ts'
import { publishTo, tally } from './load.ts'

/** What a soak found. */
export interface SoakReport {
  readonly acked: number
  readonly handlings: number
  readonly lost: readonly string[]
  readonly overtaking: readonly string[]
  /** Messages that were handled more than once. */
  readonly doubled: number
  readonly deadLetters: number
  /** Milliseconds from the end of the longest fault to the next handling. */
  readonly slowestReturnMs: number
  readonly faults: Readonly<Record<string, number>>
}

/**
 * Publishes to a group of two buses for so long, while its broker is killed, stopped, cut off and delayed at random. Nothing acknowledged may be
 * missing, and no session out of order, afterwards.
 */
export async function soak(
  kind: 'redis' | 'nats',
  server: Server,
  forMs: number,
  random: () => number,
): Promise<SoakReport> {
  await using outward = await startProxy(server.port)
  await using inward = await startProxy(server.port)
  const url = (port: number): string => `${kind}://127.0.0.1:${port}?prefix=soak`
  const patient = { offline: { forMs: 60_000 }, publishTimeoutMs: 90_000 }
  const out = await openBus(url(outward.port), { name: 'out', ...patient })
  const workers = await Promise.all([1, 2].map((at) => openBus(url(inward.port), { name: `worker${at}`, ...patient })))
  const buses: readonly Bus[] = [out, ...workers]
  try {
    const handled: string[] = []
    let lastMs = performance.now()
    for (const bus of workers) {
      bus.subscribe(
        'work.x',
        async ({ session, data }) => {
          handled.push(`${session}:${data}`)
          lastMs = performance.now()
          await sleep(1)
        },
        { group: 'workers' },
      )
    }
    const load = publishTo(out, 'work.x', 8)
    const faults: Record<string, number> = {}
    const hurts: Readonly<Record<string, () => Promise<void>>> = {
      kill: async () => {
        await server.kill()
        await sleep(random() * 1_000)
        await server.start()
      },
      pause: async () => {
        server.pause()
        await sleep(500 + random() * 4_000)
        server.resume()
      },
      reset: async () => {
        outward.reset()
        inward.reset()
      },
      delay: async () => {
        inward.delay(100)
        await sleep(1_000)
        inward.delay(0)
      },
    }
    const untilMs = performance.now() + forMs
    let slowestReturnMs = 0
    while (performance.now() < untilMs) {
      await sleep(random() * 1_000)
      const names = Object.keys(hurts)
      const name = names[Math.floor(random() * names.length)] as string
      faults[name] = (faults[name] ?? 0) + 1
      await hurts[name]?.()
      const overMs = performance.now()
      while (lastMs < overMs && performance.now() < overMs + 30_000) await sleep(5)
      slowestReturnMs = Math.max(slowestReturnMs, (lastMs < overMs ? performance.now() : lastMs) - overMs)
    }
    await load.stop()
    const patienceMs = performance.now() + 20_000
    while (tally(load.acked, handled).lost.length > 0 && performance.now() < patienceMs) await sleep(50)
    const { lost, overtaking, doubled } = tally(load.acked, handled)
    const deadLetters = await out.deadLetters.count()
    return {
      ...{
        acked: load.acked.length,
        handlings: handled.length,
        lost,
        overtaking,
        doubled: doubled.length,
        deadLetters,
      },
      ...{ slowestReturnMs: Math.round(slowestReturnMs), faults },
    }
  } finally {
    for (const bus of buses) await bus.close({ limitMs: 0 })
  }
}
