import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Bus, type OpenOptions, openBus } from '../../src/index.ts'

/** A bus whose messages are kept, with its folder, and how to end both. */
export interface Kept {
  readonly bus: Bus
  end(): Promise<void>
}

/** Opens a bus on a file of its own, or in memory. */
export async function keptBus(where: 'sqlite' | 'memory', options: OpenOptions = {}): Promise<Kept> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-kept-'))
  const bus = await openBus(where === 'memory' ? 'memory:' : `sqlite:${join(folder, 'bench.db')}`, options)
  return {
    bus,
    async end() {
      await bus.close()
      rmSync(folder, { recursive: true })
    },
  }
}

/** So many publishers, each of which goes on when its message is kept. */
export async function publishAll(bus: Bus, topic: string, total: number, publishers: number): Promise<void> {
  let next = 0
  const one = async (): Promise<void> => {
    for (let id = next++; id < total; id = next++) await bus.publish(topic, { id, data: 'payload' })
  }
  await Promise.all(Array.from({ length: publishers }, one))
}
