import { execFileSync } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Bus, isBusError, openBus } from '../../src/index.ts'
import { balance } from '../../src/reliability/index.ts'
import { until } from '../kept/support.ts'
import { place } from './run.ts'

const ACKED = 'swarmbus.message.acked'
const LIMIT_MS = 120_000

/** A file system of 16 MB; undefined where this user may not make one. */
function smallDisk(path: string): Disposable | undefined {
  mkdirSync(path)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m,mode=700', 'swarmbus-test', path], { stdio: 'pipe' })
  } catch {
    return undefined
  }
  let mounted = true
  return {
    [Symbol.dispose]() {
      if (mounted) execFileSync('umount', ['-l', path])
      mounted = false
    },
  }
}

const codeOf = (error: unknown): string => (isBusError(error) ? error.code : String(error))

/** Publishes until the disk is full: what was kept, and what was refused, with its error. */
async function fill(bus: Bus, from: number): Promise<{ kept: number[]; refused: number; code: string }> {
  const kept: number[] = []
  for (let n = from; ; n++) {
    try {
      await bus.publish('work.a', { n, text: 'x'.repeat(20_000) })
      kept.push(n)
    } catch (error) {
      return { kept, refused: n, code: codeOf(error) }
    }
  }
}

test('[I1] [I3] [I11] on a full disk publishes are refused as not stored, reads and acknowledgements go on, and room is used again', {
  timeout: LIMIT_MS,
}, async (context) => {
  using at = place()
  const path = join(at.path, 'disk')
  using disk = smallDisk(path)
  if (disk === undefined) {
    console.warn('SKIPPED: a full disk: only root may mount a tmpfs')
    return context.skip()
  }
  // Also when the test runs out of time.
  context.onTestFinished(() => disk[Symbol.dispose]())
  const ballast = join(path, 'ballast')
  writeFileSync(ballast, Buffer.alloc(4 * 1_048_576))
  const bus = await openBus(`sqlite:${join(path, 'swarm.db')}`)
  try {
    const first = await fill(bus, 0)
    expect(first.code).toBe('STORE_FULL')
    expect(first.kept.length).toBeGreaterThan(50)
    const refused = [first.refused]
    for (let n = 10_000; n < 10_010; n++) {
      const code = await bus.publish('work.a', { n, text: 'x'.repeat(20_000) }).then(() => 'kept', codeOf)
      expect(code).toBe('STORE_FULL')
      refused.push(n)
    }
    const handled: number[] = []
    // Announced when the acknowledgement itself lies on the disk.
    let keptAcks = 0
    const onAck = (): void => void keptAcks++
    subscribe(ACKED, onAck)
    context.onTestFinished(() => void unsubscribe(ACKED, onAck))
    bus.subscribe('work.a', ({ data }) => void handled.push((data as { readonly n: number }).n), { group: 'g' })
    await until(() => handled.length === first.kept.length, 'the handling on a full disk')
    const acked = async (count: number): Promise<boolean> => {
      const [info] = await bus.channels()
      if (info !== undefined) expect(balance(info.ledger)).toBe(0)
      return info?.ledger.acked === count && keptAcks >= count
    }
    await until(() => acked(first.kept.length), 'the acknowledgements on a full disk')
    const read: number[] = []
    for await (const { data } of bus.replay('work.a')) read.push((data as { readonly n: number }).n)
    expect(read).toEqual(first.kept)
    // Somebody makes room: the same bus goes on.
    rmSync(ballast)
    let small = 0
    await until(async () => {
      const code = await bus.publish('work.a', { n: 20_000 + small, text: '' }).then(() => 'kept', codeOf)
      if (code === 'kept') small++
      // The reserve for acknowledgements is put aside again, too.
      return code === 'kept' && existsSync(join(path, 'swarm.db-reserve'))
    }, 'a publish after room was made')
    const second = await fill(bus, 30_000)
    expect(second.kept.length).toBeGreaterThan(20)
    refused.push(second.refused)
    await until(() => handled.length === first.kept.length + small + second.kept.length, 'the rest')
    await until(() => acked(handled.length), 'the other acknowledgements')
    expect(handled.filter((n) => refused.includes(n))).toEqual([])
  } finally {
    await bus.close()
  }
  // Nothing of it is only in memory. Read on another disk: this one is full.
  for (const name of readdirSync(path))
    if (/^swarm\.db(-wal|-mark)?$/.test(name)) copyFileSync(join(path, name), join(at.path, name))
  await using again = await openBus(`sqlite:${at.file}`)
  const [info] = await again.channels()
  expect(info?.ledger).toMatchObject({ pending: 0, leased: 0, delayed: 0, dead: 0 })
})
