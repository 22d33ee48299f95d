import type { LoadedSwarm } from '../../config/load.ts'
import type { Call, Stop } from '../call.ts'
import { type UpOptions, up } from '../commands/up.ts'
import { CliError, EXIT } from '../faults.ts'
import type { Inlet } from '../io.ts'
import { invalid, showDiagnostics, wwFile } from '../ww.ts'
import { modulesOf, tellFiles, watchModules } from './reads.ts'
import { CHILD, type FromChild, type ToChild } from './talk.ts'

// The process in which `swarmbus dev` runs a swarm: checks the files, waits until it may start, and then does what `up` does.

/** What is only a warning for `swarmbus check`, since another machine may have it: here the swarm is to run. */
const HERE: readonly string[] = ['unset-variable', 'unavailable-kind', 'python-module', 'missing-key']

/** True in the process that `swarmbus dev` has started. */
export function isInner({ io }: Call): boolean {
  return io.env[CHILD] !== undefined && process.connected
}

/** Checks the files; then waits for the word to start, and runs the swarm until its input ends or it is told to stop. */
export async function runInner(call: Call, given: string | undefined, options: UpOptions): Promise<number> {
  // What the swarm starts is no child of this `dev`.
  delete process.env[CHILD]
  // Ctrl-C in a terminal reaches this process too: when and why the swarm ends is told by the one that started it.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined)
  const parent = parentOf()
  watchModules((path, hash) => void parent.tell({ type: 'read', path, hash }))
  try {
    const loaded = await check(call, wwFile(given), options.strict === true, parent)
    await parent.tell({ type: 'sound', modules: modulesOf(loaded) })
  } finally {
    await parent.told()
  }
  const go = await parent.go
  if (go === undefined) return EXIT.failed
  let wasRestart = false
  const gone = new AbortController()
  let wasInterrupted = false
  const onEnd = (why: 'restart' | 'interrupt'): void => {
    wasRestart = why === 'restart'
    wasInterrupted = !wasRestart
    gone.abort()
  }
  parent.onStop(onEnd)
  process.on('SIGTERM', () => onEnd('interrupt'))
  const unwatch = call.io.stdout.onEnd(() => gone.abort())
  const stop: Stop = { signal: gone.signal, interrupted: () => wasInterrupted }
  const io = { ...call.io, stdin: { isTTY: go.isTTY, chunks: parent.lines(), close: () => undefined } }
  try {
    return await up({ ...call, io, stop: () => stop }, given, options)
  } catch (error) {
    // What did not arrive was told when it happened; a start that was given up is none.
    if (wasRestart) return EXIT.ok
    throw error
  } finally {
    unwatch()
  }
}

/** Loads the files without running anything but modules with kinds. Throws a fault, after it showed what is wrong and where. */
async function check(call: Call, file: string, strict: boolean, parent: Parent): Promise<LoadedSwarm> {
  const { loadSwarm } = await import('../../config/load.ts')
  const loaded = await loadSwarm(file, { environment: call.io.env, check: true, strict })
  tellFiles(loaded, (path, hash) => void parent.tell({ type: 'read', path, hash }))
  const { secrets, specs } = loaded
  call.out.hide((text) => secrets.mask(text))
  const errors = loaded.diagnostics
    .filter(({ severity, code }) => severity === 'error' || HERE.includes(code))
    .map((one) => ({ ...one, severity: 'error' as const }))
  if (call.out.json) for (const one of errors) await call.out.entry({ type: 'diagnostic', ...one }, () => '')
  else await showDiagnostics(call, loaded, errors)
  if (errors.length > 0) throw invalid(file, errors)
  if (specs.length === 0) throw new CliError(EXIT.failed, `${file} declares no component`, 'declare one')
  return loaded
}

interface Parent {
  /** Resolves when it was handed over. */
  tell(message: FromChild): Promise<void>
  /** Resolves when everything was handed over. */
  told(): Promise<void>
  /** The word to start; undefined when whoever would give it is gone. */
  readonly go: Promise<{ readonly isTTY: boolean } | undefined>
  /** Also when whoever started this process is gone. */
  onStop(run: (why: 'restart' | 'interrupt') => void): void
  /** Each line is asked for when it is wanted: what is not asked for is left to the swarm that comes next. */
  lines(): Inlet['chunks']
}

function parentOf(): Parent {
  const go = Promise.withResolvers<{ readonly isTTY: boolean } | undefined>()
  let last: Promise<unknown> = Promise.resolve()
  let stop: (why: 'restart' | 'interrupt') => void = () => undefined
  let line = Promise.withResolvers<string | undefined>()
  process.on('message', (message: ToChild) => {
    if (message.type === 'go') go.resolve({ isTTY: message.isTTY })
    else if (message.type === 'stop') stop(message.why)
    else line.resolve(message.text)
  })
  process.on('disconnect', () => {
    go.resolve(undefined)
    stop('interrupt')
  })
  const tell = (message: FromChild): Promise<void> => {
    const sent = new Promise<void>((resolve) => {
      // One that is gone hears nothing, and is noticed by itself.
      if (process.connected) process.send?.(message, undefined, undefined, () => resolve())
      else resolve()
    })
    last = Promise.all([last, sent])
    return sent
  }
  return {
    tell,
    async told() {
      await last
    },
    go: go.promise,
    onStop(run) {
      stop = run
    },
    async *lines() {
      for (;;) {
        line = Promise.withResolvers()
        await tell({ type: 'ask' })
        const text = await line.promise
        if (text === undefined) return
        yield `${text}\n`
      }
    },
  }
}
