import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { openBlackboard } from '../../src/agent/index.ts'
import { type MessageLog, memoryLog, sqliteLog } from '../../src/log/index.ts'
import { type Place, type PlaceKind, zejzlKeptBlackboardCases } from './cases/zejzl-kept-blackboard.ts'

function file(): string {
  const folder = mkdtempSync(join(tmpdir(), 'swarmbus-board-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'swarm.db')
}

const PLACES: readonly PlaceKind[] = [
  { name: 'memory', make: inMemory },
  { name: 'sqlite', make: onDisk },
]

/** In memory, what survives is the log itself. */
function inMemory(): Place {
  const log = memoryLog()
  onTestFinished(() => log[Symbol.asyncDispose]())
  return { reopen: async () => log, beside: async () => log }
}

function onDisk(): Place {
  const path = file()
  let log: MessageLog | undefined
  onTestFinished(() => log?.[Symbol.asyncDispose]())
  return {
    async reopen() {
      await log?.[Symbol.asyncDispose]()
      log = await sqliteLog(path)
      return log
    },
    beside: async () => log as MessageLog,
  }
}

zejzlKeptBlackboardCases(PLACES)

/** What a child said before it was killed: the newest state of each key that was answered. */
interface Life {
  readonly lines: string[]
}

async function live(path: string, life: number, killAfter: number): Promise<Life> {
  const script = join(import.meta.dirname, 'support/blackboard-child.ts')
  const child = spawn(process.execPath, [script, path, `${life}`], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  const ended = new Promise<string | null>((resolve) => child.on('close', (_code, signal) => resolve(signal)))
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line)
    if (lines.length === killAfter) child.kill('SIGKILL')
  }
  expect(await ended).toBe('SIGKILL')
  return { lines }
}

test('[Z65] killed with -9 again and again, also while it compacts, a board lacks nothing that was answered', {
  timeout: 120_000,
}, async () => {
  const path = file()
  let version = 0
  for (let life = 1; life <= 6; life++) {
    const { lines } = await live(path, life, 30 + life * 41)
    const answered = new Map<string, number>()
    for (const line of lines.slice(1)) {
      const [what, key, told] = line.split(' ')
      answered.set(key as string, Number(told))
      if (what === 'deleted') expect(key).toBe('k4')
    }
    await using log = await sqliteLog(path)
    await using board = await openBlackboard(log)
    const newest = Math.max(...answered.values())
    expect(board.stats().version).toBeGreaterThanOrEqual(newest)
    expect(newest).toBeGreaterThan(version)
    version = board.stats().version
    for (const [key, told] of answered) {
      const entry = board.read<{ life: string }>(key)
      // Only k4 is ever deleted; whatever is there is what was answered last, or what was on its way then.
      if (entry === undefined) expect(key).toBe('k4')
      else {
        expect(entry.version).toBeGreaterThanOrEqual(told)
        expect(entry.value.life).toBe(`${life}`)
      }
    }
    const { count = 0 } = (await log.streams('blackboard'))[0] ?? {}
    expect(count).toBeLessThan(200)
  }
})
