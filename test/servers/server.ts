import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A real server process on a loopback port of its own, with a folder of its own. Disposal kills it by its pid and removes the folder. */
export interface Server extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly folder: string
  readonly pid: number
  /** Ends it with kill -9, as a crash does; its folder stays. */
  kill(): Promise<void>
  /** Asks it to end, and waits. */
  stop(): Promise<void>
  /** Starts it again on the same port, with what is in its folder; `wipe` empties the folder first. Resolves when it answers. */
  start(options?: { readonly wipe?: boolean; readonly args?: readonly string[] }): Promise<void>
  /** SIGSTOP and SIGCONT. */
  pause(): void
  resume(): void
}

/** What differs between servers. */
export interface ServerKind {
  readonly name: string
  url(port: number): string
  command(port: number, folder: string): readonly [string, ...string[]]
  /** Throws or rejects while it does not answer yet. */
  ping(port: number): Promise<void>
}

/** Below the ports that the system gives to connections: one of those could take the place of a server that starts again. */
const FIRST_PORT = 10_000
const PORTS = 2_500
/** Test files that run side by side have ports of their own. */
const SLOT = Number(process.env.VITEST_POOL_ID ?? 8) % 8
let turn = (process.pid * 7) % PORTS

/** A port nobody listens on, and that nobody else is given. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS; tries++) {
    const port = FIRST_PORT + SLOT * PORTS + (turn++ % PORTS)
    if (await isFree(port)) return port
  }
  throw new Error('no port is free')
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer()
  try {
    probe.listen(port, '127.0.0.1')
    await once(probe, 'listening')
  } catch {
    return false
  }
  probe.close()
  await once(probe, 'close')
  return true
}

const PATIENCE_MS = 20_000

export async function startServer(kind: ServerKind): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), `swarmbus-${kind.name}-`))
  const port = await freePort()
  let child: ChildProcess | undefined
  let said = ''

  async function start(options: { readonly wipe?: boolean; readonly args?: readonly string[] } = {}): Promise<void> {
    if (options.wipe) {
      rmSync(folder, { recursive: true, force: true })
      const { mkdirSync } = await import('node:fs')
      mkdirSync(folder, { recursive: true })
    }
    const [program, ...args] = kind.command(port, folder)
    said = ''
    const started = spawn(program, [...args, ...(options.args ?? [])], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child = started
    let ended = false
    let fault: unknown
    started.on('error', (error) => {
      fault = error
      ended = true
    })
    started.on('exit', () => {
      ended = true
    })
    for (const stream of [started.stdout, started.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        said = (said + bytes.toString()).slice(-4_000)
      })
    }
    const until = performance.now() + PATIENCE_MS
    for (;;) {
      if (ended) throw new Error(`${program} did not start: ${String(fault ?? '')}\n${said}`)
      try {
        await kind.ping(port)
        return
      } catch (error) {
        if (performance.now() > until)
          throw new Error(`${program} does not answer on ${port}:\n${said}`, { cause: error })
        await sleep(20)
      }
    }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const ending = child
    child = undefined
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return
    const gone = once(ending, 'exit')
    if (signal !== 'SIGKILL') ending.kill('SIGCONT')
    ending.kill(signal)
    await gone
  }

  const onExit = (): void => void child?.kill('SIGKILL')
  process.on('exit', onExit)
  try {
    await start()
  } catch (error) {
    await end('SIGKILL')
    process.off('exit', onExit)
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
  return {
    url: kind.url(port),
    port,
    folder,
    get pid() {
      return child?.pid ?? 0
    },
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    start,
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    async [Symbol.asyncDispose]() {
      await end('SIGKILL')
      process.off('exit', onExit)
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
