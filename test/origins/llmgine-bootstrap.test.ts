import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { bootstrap } from '../../src/component/index.ts'
import { createBus } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { faultIn } from './support/woodwork.ts'

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bootstrap-'))
  try {
    await run(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

test('[L70] a program begins from its settings: name, level INFO, lines and a file named by the time, handlers in a session, a bus that runs', () =>
  inFolder(async (folder) => {
    const env = fakeEnv({ wallMs: Date.UTC(2026, 4, 6, 7, 8, 9) })
    const lines: string[] = []
    const heard: unknown[] = []
    const directory = join(folder, 'deep', 'logs')
    const begun = bootstrap({
      name: 'crew',
      directory,
      session: 's1',
      write: (line) => lines.push(line),
      handlers: [
        { pattern: 'tasks.*', handler: ({ data, session }) => void heard.push([data, session]) },
        {
          pattern: 'bad',
          handler() {
            throw new Error('secret-free')
          },
        },
      ],
      env,
    })
    expect(begun.path).toBe(join(directory, 'events_20260506_070809.jsonl'))
    expect(begun.bus.stats()).toMatchObject({ name: 'crew', running: true })
    await begun.bus.publish('tasks.one', { pin: 42 }, { session: 's1', from: 'ann' })
    await begun.bus.publish('tasks.two', 'elsewhere', { session: 's2' })
    await begun.bus.publish('bad', 1, { session: 's1' })
    await begun.bus.idle()
    expect(heard).toEqual([[{ pin: 42 }, 's1']])
    await begun.stop()
    expect(begun.bus.stats().state).toBe('closed')
    const text = await readFile(begun.path as string, 'utf8')
    const records = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(records.map((one) => [one.level, one.event_type, one.session_id])).toEqual([
      ['INFO', 'message.published', 's1'],
      ['INFO', 'message.published', 's2'],
      ['INFO', 'message.published', 's1'],
      ['ERROR', 'message.failed', 's1'],
    ])
    expect(records[0]).toMatchObject({
      time: '2026-05-06T07:08:09.000Z',
      metadata: { topic: 'tasks.one', from: 'ann' },
    })
    expect(lines).toHaveLength(4)
    expect(lines[3]).toMatch(
      /^2026-05-06T07:08:09.000Z ERROR message.failed .* s1 topic=bad .*error=Error: secret-free$/,
    )
    expect(text + lines.join('')).not.toContain('42')
    expect(begun.lost).toBe(0)
  }))

test("[L70] level, lines and file are switched, and a bus of one's own stays open", () =>
  inFolder(async (folder) => {
    const lines: string[] = []
    await using bus = createBus({ name: 'mine' })
    const quiet = bootstrap({
      bus,
      file: false,
      directory: folder,
      logLevel: 'WARNING',
      write: (line) => lines.push(line),
    })
    await bus.publish('x', 1)
    await bus.idle()
    await quiet.stop()
    bus.start()
    const verbose = bootstrap({ bus, file: false, logLevel: 'DEBUG', write: (line) => lines.push(line) })
    bus.subscribe('x', () => undefined)
    await bus.publish('x', 1)
    await bus.idle()
    await verbose.stop()
    expect(lines.map((line) => line.split(' ').slice(1, 3).join(' '))).toEqual([
      'INFO message.published',
      'DEBUG message.handled',
    ])
    expect(bus.stats().state).toBe('stopped')
    expect([verbose.path, await readdir(folder)]).toEqual([undefined, []])
    expect(faultIn(() => bootstrap({ print: true }))).toMatchObject({
      code: 'INVALID_OPTION',
      details: { field: 'write' },
    })
    expect(faultIn(() => bootstrap({ logLevel: 'LOUD' as never })).code).toBe('INVALID_OPTION')
  }))
