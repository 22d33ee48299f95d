import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type BoardChange, openBlackboard } from '../../src/agent/index.ts'
import { openBus } from '../../src/index.ts'
import { type MessageLog, memoryLog, sqliteLog } from '../../src/log/index.ts'
import { until } from '../kept/support.ts'

function file(): string {
  const folder = mkdtempSync(join(tmpdir(), 'swarmbus-board-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'swarm.db')
}

interface Place {
  /** Opens the log as a restarted program would. */
  reopen(): Promise<MessageLog>
}

const PLACES = [
  { name: 'memory', make: inMemory },
  { name: 'sqlite', make: onDisk },
]

/** In memory, what survives is the log itself. */
function inMemory(): Place {
  const log = memoryLog()
  onTestFinished(() => log[Symbol.asyncDispose]())
  return { reopen: async () => log }
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
  }
}

describe.each(PLACES)('on $name', ({ make }) => {
  test('[Z65] values are written, read, deleted and listed with version and time, and survive a restart', async () => {
    const place = make()
    const board = await openBlackboard(await place.reopen(), { agent: 'harold' })
    const goal = await board.write('plan.goal', { title: 'ship', steps: [1, 2, { deep: null }] })
    await board.write('plan.owner', 'pink')
    await board.write('other', 1)
    expect(await board.delete('plan.owner')).toBe(true)
    expect(goal).toMatchObject({ key: 'plan.goal', version: 1, by: 'harold' })
    expect(goal.time).toBeGreaterThan(1.7e12)
    await board[Symbol.asyncDispose]()

    await using again = await openBlackboard(await place.reopen())
    expect(again.read('plan.goal')).toEqual(goal)
    expect(again.list('plan.').map((one) => one.key)).toEqual(['plan.goal'])
    expect(again.read('plan.owner')).toBeUndefined()
    // Versions go on where they were: what was read before the restart is told from what is there now.
    expect((await again.write('plan.owner', 'red')).version).toBe(5)
    await expect(again.write('plan.goal', 'x', { expect: 5 })).rejects.toMatchObject({
      code: 'VERSION_CONFLICT',
      details: { key: 'plan.goal', expected: 5, actual: 1 },
    })
  })

  test('[Z65] agents hear of each change, in one order for all of them', async () => {
    const log = await make().reopen()
    const boards = await Promise.all(['pink', 'red', 'blue'].map((agent) => openBlackboard(log, { agent })))
    const heard = boards.map((board) => {
      const changes: BoardChange[] = []
      board.watch('', (change) => changes.push(change))
      return changes
    })
    const writes = Array.from({ length: 30 }, async (_, index) => {
      const board = boards[index % 3]
      if (index % 10 === 9) await board?.delete(`k${index % 4}`)
      else await board?.write(`k${index % 4}`, index)
    })
    await Promise.all(writes)
    const { version } = boards[0]?.stats() ?? { version: 0 }
    await until(() => boards.every((board) => board.stats().version === version), 'the changes')
    expect(heard[0]?.length).toBe(version)
    expect(heard[1]).toEqual(heard[0])
    expect(heard[2]).toEqual(heard[0])
    expect(new Set(heard[0]?.map((change) => change.by))).toEqual(new Set(['pink', 'red', 'blue']))
    for (const board of boards) await board[Symbol.asyncDispose]()
  })

  test('[Z65] a board on the log of a bus leaves the channels and the replay of the bus alone', async () => {
    const log = await make().reopen()
    const bus = await openBus(log)
    await using board = await openBlackboard(log)
    for (let value = 0; value < 5; value++) await board.write('k', value)
    await bus.publish('tasks.a', 1)
    const names = (await bus.channels()).map((channel) => channel.name)
    const replayed: unknown[] = []
    for await (const message of bus.replay('>')) replayed.push(message.data)
    expect([names, replayed]).toEqual([['tasks'], [1]])
    await bus.close()
  })
})

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
