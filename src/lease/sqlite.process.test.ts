import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { machineMs } from '../kit/env.ts'
import { sqliteLeases } from './sqlite.ts'

// Real processes on one file. What they are told and what they say are lines of text.

const LIMIT_MS = 120_000
const SOURCE = new URL('./sqlite.ts', import.meta.url).href

function files(): { readonly file: string; readonly log: string } {
  const path = mkdtempSync(join(tmpdir(), 'swarmbus-lease-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  const log = join(path, 'log')
  writeFileSync(log, '')
  return { file: join(path, 'leases.db'), log }
}

interface Child {
  readonly process: ChildProcess
  /** The next line that it prints; rejects when it ends first. */
  line(): Promise<string>
  tell(text: string): void
  readonly ended: Promise<number | string | null>
}

/** Runs the code in a process of its own, with `leases` on the file, `line()` and `say()`. */
function run(file: string, log: string, code: string): Child {
  const program = `
    import { appendFileSync } from 'node:fs'
    import { createInterface } from 'node:readline'
    import { sqliteLeases } from ${JSON.stringify(SOURCE)}
    const log = ${JSON.stringify(log)}
    const say = (text) => process.stdout.write(text + '\\n')
    const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
    const line = async () => (await lines.next()).value
    const leases = await sqliteLeases(${JSON.stringify(file)})
    ${code}
  `
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ended = new Promise<number | string | null>((resolve) =>
    child.on('close', (exit, signal) => resolve(signal ?? exit)),
  )
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return {
    process: child,
    ended,
    async line() {
      const { value, done } = await lines.next()
      if (done === true) throw new Error(`the child ended with ${await ended}`)
      return value
    },
    tell: (text) => void child.stdin.write(`${text}\n`),
  }
}

test(
  '[I15] two processes that compete for 400 turns are never owners at once',
  async () => {
    const { file, log } = files()
    const code = `
      await line()
      for (let round = 0; round < 200; round++) {
        const lease = await leases.hold('jobs', { ttlMs: 60000 })
        appendFileSync(log, 'begin ' + lease.token + '\\n')
        // Room for the other one to come in between, were it let.
        await new Promise((resolve) => setTimeout(resolve, round % 3))
        appendFileSync(log, 'end ' + lease.token + '\\n')
        if (lease.signal.aborted || !(await lease.release())) throw new Error('lost it')
        // The other one must have its turn, or nobody competes.
        await new Promise((resolve) => setTimeout(resolve, (round * 7) % 23))
      }
      await leases[Symbol.asyncDispose]()
      process.exit(0)
    `
    const children = [run(file, log, code), run(file, log, code)]
    for (const child of children) child.tell('go')
    expect(await Promise.all(children.map(({ ended }) => ended))).toEqual([0, 0])
    const entries = readFileSync(log, 'utf8').trim().split('\n')
    expect(entries).toHaveLength(800)
    let last = 0
    for (let index = 0; index < entries.length; index += 2) {
      const token = Number(entries[index]?.split(' ')[1])
      expect(entries.slice(index, index + 2)).toEqual([`begin ${token}`, `end ${token}`])
      expect(token).toBeGreaterThan(last)
      last = token
    }
  },
  LIMIT_MS,
)

test(
  'when a holder is killed its lease has its time left at most, then the next one gets the name with a higher token',
  async () => {
    const { file, log } = files()
    const ttlMs = 1_000
    const holder = run(
      file,
      log,
      `const lease = await leases.hold('jobs', { ttlMs: ${ttlMs} }); say(String(lease.token)); await line()`,
    )
    const token = Number(await holder.line())
    holder.process.kill('SIGKILL')
    expect(await holder.ended).toBe('SIGKILL')
    const killedMs = machineMs()
    const db = new DatabaseSync(file)
    const { due } = db.prepare(`SELECT due FROM leases WHERE name = 'jobs'`).get() as { due: number }
    db.close()
    expect(due).toBeLessThanOrEqual(killedMs + ttlMs)
    await using leases = await sqliteLeases(file)
    const lease = await leases.hold('jobs', { ttlMs: 60_000 })
    expect(machineMs()).toBeGreaterThanOrEqual(due)
    expect(lease.token).toBeGreaterThan(token)
  },
  LIMIT_MS,
)

test(
  '[I14] [I15] a holder that was stopped for longer than its lease knows it when it goes on, and changes nothing',
  async () => {
    const { file, log } = files()
    // A held file would hold all: so the child is stopped while it waits for a line, not while it writes.
    const holder = run(
      file,
      log,
      `
        const lease = await leases.acquire('jobs', 600000)
        const { signal } = lease
        await lease.renew(3000)
        say(String(lease.token))
        await line()
        const first = signal.aborted
        say(JSON.stringify([first, lease.leftMs, await lease.renew(), await lease.release()]))
        await line()
      `,
    )
    const token = Number(await holder.line())
    holder.process.kill('SIGSTOP')
    await using leases = await sqliteLeases(file)
    const next = await leases.hold('jobs', { ttlMs: 60_000 })
    expect(next.token).toBeGreaterThan(token)
    holder.tell('go on')
    holder.process.kill('SIGCONT')
    expect(JSON.parse(await holder.line())).toEqual([true, 0, false, false])
    expect(await leases.owner('jobs')).toBe(next.token)
    expect(next.signal.aborted).toBe(false)
  },
  LIMIT_MS,
)

test(
  'tokens go on rising over processes that are killed while they take and release',
  async () => {
    const { file, log } = files()
    const code = `
      for (;;) {
        const lease = await leases.hold('of ' + process.pid, { ttlMs: 60000 })
        appendFileSync(log, lease.token + '\\n')
        say('')
        await lease.release()
      }
    `
    for (let round = 0; round < 8; round++) {
      const child = run(file, log, code)
      for (let line = 0; line <= round; line++) await child.line()
      child.process.kill('SIGKILL')
      await child.ended
      await using leases = await sqliteLeases(file)
      const seen = readFileSync(log, 'utf8').split('\n').map(Number)
      const lease = await leases.hold(`round ${round}`, { ttlMs: 60_000 })
      expect(lease.token).toBeGreaterThan(Math.max(...seen))
      await lease.release()
    }
    const tokens = readFileSync(log, 'utf8').trim().split('\n').map(Number)
    expect(tokens).toEqual(tokens.toSorted((a, b) => a - b))
    expect(new Set(tokens).size).toBe(tokens.length)
  },
  LIMIT_MS,
)

test(
  'leases that nobody uses let the program end',
  async () => {
    const { file, log } = files()
    const child = run(file, log, `lines.return(); process.stdin.destroy(); await leases.owner('jobs'); say('done')`)
    expect(await child.line()).toBe('done')
    expect(await child.ended).toBe(0)
  },
  LIMIT_MS,
)
