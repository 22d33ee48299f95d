import { Command } from 'commander'
import type { SwarmFault } from '../../component/fault.ts'
import type { StartProgress } from '../../component/swarm-options.ts'
import type { LoadedSwarm } from '../../config/load.ts'
import { isBusError } from '../../kit/errors.ts'
import type { SwarmRun } from '../../node/swarm/run.ts'
import { type Act, type Call, type Stop, usage } from '../call.ts'
import { CliError, EXIT } from '../faults.ts'
import { type Level, levelOf } from '../level.ts'
import { parseDuration } from '../parse.ts'
import { terminalOf } from '../terminal.ts'
import { counted, oneLine, spanText } from '../text.ts'
import { invalid, MAIN, showDiagnostics, wwFile } from '../ww.ts'

/** The options of `up`, and of whatever runs as it does. */
export interface UpOptions {
  readonly strict?: boolean
  readonly drain: number
  readonly startTimeout?: number
}

const NO_INPUT = 'none of its components takes input: it works for others on the bus until Ctrl-C'

/** Faults by which something that was meant to arrive did not. Hooks and listeners only look on. */
const LOSSES: readonly SwarmFault['type'][] = ['component', 'pipe', 'route', 'emit', 'cycle']

const EXAMPLES = `
Examples:
  $ swarmbus up
  $ swarmbus up examples/chain --url redis://localhost:6379
  $ echo 'what is a bus?' | swarmbus up
  $ swarmbus up --json < questions.txt

FILE is a .ww file, or a folder with a ${MAIN}. What components print goes to standard output, everything else to standard error.
The bus is that of --url, else that of the file, else of SWARMBUS_URL, else as WOODWORK_ENV, REDIS_URL and NATS_URL say.
\`exit\`, the end of the input, or Ctrl-C ends it: what is on its way is finished first. A second Ctrl-C ends it at once.
Where no terminal is read, it ends with code 1 when something could not be handled.
WOODWORK_LOG_LEVEL (debug, info, warning, error) decides how much it tells.`

/** `swarmbus up [FILE]`: runs a `.ww` file until its input ends. */
export function upCommand(act: Act): Command {
  return new Command('up')
    .alias('run')
    .description('run a .ww file: its components start in the order in which they need each other')
    .argument('[file]', `the file, or a folder with a ${MAIN} (default: ${MAIN})`)
    .option('--strict', 'a route that had to be chosen among several is an error')
    .option('--drain <duration>', 'how long what is on its way may take at the end, as 10s', parseDuration, 5_000)
    .option('--start-timeout <duration>', 'how long the start of all components may take (default 30s)', parseDuration)
    .addHelpText('after', EXAMPLES)
    .action(act(up))
}

/** What `swarmbus up` does: resolves to its exit code when the swarm has ended. */
export async function up(call: Call, given: string | undefined, options: UpOptions): Promise<number> {
  const { io, out } = call
  if (call.options.url !== undefined && call.options.file !== undefined) {
    throw usage('--url and --file name two buses', 'give one of them')
  }
  const file = wwFile(given)
  const startMs = io.clock.monotonicMs()
  const stop = call.stop()
  const { loadSwarm } = await import('../../config/load.ts')
  const strict = options.strict === true
  const loaded = await loadSwarm(file, { environment: io.env, strict })
  const { secrets, diagnostics } = loaded
  out.hide((text) => secrets.mask(text))
  const level = levelOf(loaded.variables.all.WOODWORK_LOG_LEVEL)
  const told = teller(call, level)
  if (level.unknown !== undefined) await told.warning(level.unknown)
  const shown = diagnostics.filter(({ severity }) => severity === 'error' || level.warnings)
  if (out.json) for (const one of shown) await told.event({ type: 'diagnostic', ...one })
  else await showDiagnostics(call, loaded, shown)
  if (!loaded.valid) throw invalid(file, diagnostics)
  if (loaded.specs.length === 0) {
    throw new CliError(EXIT.failed, `${file} declares no component`, '`swarmbus init FOLDER` makes a file that runs')
  }
  const { openSwarm } = await import('../../node/swarm/run.ts')
  const ready = Promise.withResolvers<void>()
  let run: SwarmRun
  try {
    run = await openSwarm(loaded, {
      ...urlOf(call),
      strict,
      signal: stop.signal,
      ...(options.startTimeout === undefined ? {} : { startTimeoutMs: options.startTimeout }),
      terminal: terminalOf(io, {
        ...stop,
        mask: (text) => secrets.maskPrinted(text),
        json: out.json,
        ready: ready.promise,
      }),
      onChosen: ({ url, why }) => told.info({ type: 'bus', url, why }, `bus: ${url} (${why})`),
      onWarning: (text) => void told.warning(text),
      onProgress: (progress) => told.progress(progress),
      tell: (line) => told.info({ type: 'note', text: line }, line),
      onFault: (fault) => told.fault(fault),
    })
  } catch (error) {
    await told.done()
    ready.resolve()
    if (!stop.interrupted() || !isBusError(error, 'CANCELLED')) throw error
    throw new CliError(
      EXIT.interrupted,
      'interrupted before everything had started; what had is ended again',
      'start it again',
    )
  }
  const unwatch = level.debug
    ? run.swarm.on('*', (_payload, info) => told.info({ type: 'event', ...info }, `${info.component}: ${info.event}`))
    : undefined
  const span = spanText(io.clock.monotonicMs() - startMs)
  const count = loaded.specs.length
  told.info(
    { type: 'ready', components: count, ms: Math.round(io.clock.monotonicMs() - startMs) },
    `ready in ${span}: ${counted(count, 'component')}`,
  )
  if (!takesInput(loaded)) told.info({ type: 'note', text: NO_INPUT }, NO_INPUT)
  await told.done()
  ready.resolve()
  try {
    await Promise.race([run.ended, aborted(stop)])
  } finally {
    unwatch?.()
  }
  const code = await finish(run, stop, options.drain, told)
  // A person has seen it happen, and went on.
  if (code !== EXIT.ok || told.losses.count === 0 || io.stdin.isTTY || stop.interrupted()) return code
  throw failed(run, told.losses)
}

function failed({ choice }: SwarmRun, { count, first }: Teller['losses']): CliError {
  const isKept = choice !== undefined && !choice.url.startsWith('memory:')
  const next = isKept
    ? `mend it; what failed for good is a dead letter now: \`swarmbus dead-letters list --url ${choice.url}\``
    : 'mend it, and run it again'
  return new CliError(EXIT.failed, count === 1 ? first : `${counted(count, 'fault')}, the first: ${first}`, next)
}

async function finish(run: SwarmRun, stop: Stop, limitMs: number, told: Teller): Promise<number> {
  if (stop.interrupted())
    told.info({ type: 'stopping' }, 'stopping: what is on its way is finished; Ctrl-C again ends at once')
  const { drained, left, failed } = await run.stop({ limitMs })
  const { events, router, faults } = run.swarm.stats()
  for (const { component, error } of failed) await told.warning(`"${component}" did not end well: ${String(error)}`)
  const sum = [
    counted(events.eventsEmitted, 'event'),
    `${counted(router.messagesRouted, 'message')} routed`,
    ...(faults === 0 ? [] : [counted(faults, 'fault')]),
    ...(left === 0 ? [] : [`${counted(left, 'message')} left`]),
  ].join(', ')
  const figures = {
    events: events.eventsEmitted,
    routed: router.messagesRouted,
    faults,
    left,
    interrupted: stop.interrupted(),
  }
  told.info({ type: 'summary', ...figures }, `ended: ${sum}`)
  await told.done()
  return drained ? EXIT.ok : stop.interrupted() ? EXIT.interrupted : EXIT.failed
}

function takesInput({ specs, catalog }: LoadedSwarm): boolean {
  return specs.some((spec) => ['input', 'deployment', 'vm'].includes(spec.role ?? catalog.get(spec.kind).role))
}

function urlOf({ options }: Call): { readonly url?: string } {
  if (options.url !== undefined) return { url: options.url }
  return options.file === undefined ? {} : { url: `sqlite:${options.file}` }
}

function aborted({ signal }: Stop): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** What the command tells, beside what components print; nothing of it waits. */
interface Teller {
  info(event: object, line: string): void
  event(event: object): Promise<void>
  progress(progress: StartProgress): void
  fault(fault: SwarmFault): void
  warning(text: string): Promise<void>
  /** What did not arrive. */
  readonly losses: { readonly count: number; readonly first: string }
  /** Resolves when everything is written. */
  done(): Promise<void>
}

function teller({ out }: Call, level: Level): Teller {
  let last: Promise<unknown> = Promise.resolve()
  const losses = { count: 0, first: '' }
  const told = (write: Promise<unknown>): void => {
    last = Promise.all([last, write])
  }
  const event = (value: object): Promise<void> => out.entry(value, () => '')
  const line = (text: string): Promise<void> => out.status(text)
  return {
    event,
    info(value, text) {
      if (level.info) told(out.json ? event(value) : line(text))
    },
    progress({ component, kind, step, done, total }) {
      if (!level.info || step === 'made') return
      told(
        out.json
          ? event({ type: 'started', component, kind, done, total })
          : line(`  [${done}/${total}] ${component} (${kind})`),
      )
    },
    losses,
    fault({ type, component, message }) {
      if (LOSSES.includes(type) && losses.count++ === 0) losses.first = message
      if (level.warnings) told(out.warn(message, { type, component }))
    },
    async warning(text) {
      if (level.warnings) await out.warn(oneLine(text), {})
    },
    async done() {
      await last
    },
  }
}
