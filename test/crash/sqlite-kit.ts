import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemEnv } from '../../src/kit/env.ts'
import { openEngine } from '../../src/log/sqlite/engine.ts'
import { recordsIn } from '../../src/log/sqlite/layout.ts'
import type { Answers, ThreadOptions } from '../../src/log/sqlite/protocol.ts'
import { entryAt } from '../../src/log/sqlite/unpack.ts'
import type { AppendOp, GroupOp, StoredState, StoreOp } from '../../src/log/store.ts'
import { IdMaker } from '../../src/message/ids.ts'
import type { Message } from '../../src/message/message.ts'
import { restoreMessage } from '../../src/message/restore.ts'

const env = systemEnv()
const ids = new IdMaker(env)

/** An empty folder that is removed at the end of the block. */
export function folder(base: string = tmpdir()): Disposable & { readonly path: string; readonly file: string } {
  const path = mkdtempSync(join(base, 'swarmbus-sqlite-'))
  return { path, file: join(path, 'log.db'), [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** A copy of a folder, removed at the end of the block. */
export function copyOf(from: string): ReturnType<typeof folder> {
  const copy = folder()
  cpSync(from, copy.path, { recursive: true })
  return copy
}

export function messageOf(data: unknown, more: object = {}): Message {
  const time = env.wallMs()
  return restoreMessage({ id: ids.next(time), topic: 'tasks.a', time, data, ...more }, env)
}

export function appendOf(stream: string, data: unknown, more: Partial<AppendOp> = {}): AppendOp {
  const message = messageOf(data)
  const storedAt = env.wallMs()
  return { type: 'append', stream, message, key: message.id, storedAt, dueAt: undefined, note: undefined, ...more }
}

const COUNTS = { acked: 0, dead: 0, expired: 0, dropped: 0, skipped: 0 }

export function groupOf(stream: string, group: string, position: number, more: Partial<GroupOp> = {}): GroupOp {
  const lists = { done: [], open: [], closed: [], begun: [] }
  return {
    type: 'group',
    stream,
    group,
    start: 1,
    position,
    counts: { ...COUNTS, acked: position - 1 },
    ...lists,
    ...more,
  }
}

/** What the child commits in round `n`: five entries and what a group has settled, then two of another stream. */
export function roundOf(round: number): StoreOp[] {
  const first = (round - 1) * 5 + 1
  return [
    ...[0, 1, 2, 3, 4].map((at) =>
      appendOf('c/a', dataOf('c/a', first + at), at === 2 ? { note: `note ${first + at}` } : {}),
    ),
    groupOf('c/a', 'g', first, { open: [openOf(first)], closed: round > 1 ? [first - 5] : [], begun: [first] }),
    ...[0, 1].map((at) => appendOf('c/b', dataOf('c/b', (round - 1) * 2 + 1 + at))),
  ]
}

function openOf(offset: number): GroupOp['open'][number] {
  return { offset, attempts: 1, dueAt: undefined, delayMs: 0, held: false, note: 'tried' }
}

/** The data of an entry that the child stored. */
export function dataOf(
  stream: string,
  offset: number,
): { readonly stream: string; readonly offset: number; readonly text: string } {
  return { stream, offset, text: `${stream}-${offset}-`.repeat(8 + (offset % 40)) }
}

export const OPTIONS: Omit<ThreadOptions, 'file'> = {
  synchronous: 'FULL',
  acceptLoss: false,
  dedupMs: 600_000,
  dedupLimit: 1_000_000,
  reserveBytes: 0,
  failAt: undefined,
}

/** What a reader sees of one offset: the data, or why there is none. */
export type Seen = { readonly data: unknown; readonly note: string | undefined } | 'damaged' | 'lost'

/** Opens a file in this thread, reads everything, and closes it. Throws what opening throws. */
export function readAll(
  file: string,
  options: Partial<ThreadOptions> = {},
): { readonly state: StoredState; readonly seen: ReadonlyMap<string, ReadonlyMap<number, Seen>> } {
  const engine = openEngine({ ...OPTIONS, file, ...options }, env)
  try {
    const seen = new Map<string, Map<number, Seen>>()
    for (const { stream, first, next } of engine.state.streams) {
      const entries = new Map<number, Seen>()
      seen.set(stream, entries)
      for (let from = first; from < next; ) {
        const page = engine.answer({ type: 'page', stream, from, most: 1_000 }) as Answers['page']
        const records = recordsIn(page.buffer)
        let at = 0
        for (let index = 0; index < page.count; index++) {
          const { entry, end } = entryAt(records, at, env)
          at = end
          entries.set(
            entry.offset,
            entry.type === 'bad' ? entry.reason : { data: entry.message.data, note: entry.note },
          )
          from = entry.offset + 1
        }
        if (page.count === 0) break
      }
    }
    return { state: engine.state, seen }
  } finally {
    engine.close()
  }
}

/** What became of a child that wrote until it was killed. */
export interface Ran {
  /** Rounds whose commit was answered. */
  readonly acked: number
  readonly signal: string | null
  readonly output: string
}

/** Runs `sqlite-child.ts` with the arguments until it ends; `each` hears every line. */
export function runChild(
  args: readonly string[],
  each: (line: string, kill: () => void) => void = () => undefined,
): Promise<Ran> {
  const script = join(import.meta.dirname, 'sqlite-child.ts')
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let rest = ''
  let acked = 0
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line.startsWith('acked ')) acked = Number(line.slice(6))
      each(line, () => void child.kill('SIGKILL'))
    }
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (_code, signal) => resolve({ acked, signal, output }))
  })
}

/** Random numbers that a seed repeats. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
