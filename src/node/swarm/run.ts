import { basename } from 'node:path'
import type { Bus } from '../../bus/bus.ts'
import type { SwarmFault } from '../../component/fault.ts'
import type { Terminal } from '../../component/kind.ts'
import { createSwarm, type Swarm } from '../../component/swarm.ts'
import type { StartProgress, StopReport } from '../../component/swarm-options.ts'
import { type LoadedSwarm, type LoadOptions, loadSwarm, mustBeValid, type SwarmText } from '../../config/load.ts'
import type { Env } from '../../kit/env.ts'
import { BusError, isBusError } from '../../kit/errors.ts'
import type { BackendChoice } from '../backends.ts'
import { type OpenOptions, openBus } from '../node.ts'
import { placeOf } from './place.ts'

/** How a file is run. */
export interface OpenSwarmOptions extends LoadOptions {
  /** A bus that was made already: it wins over everything, and stays open. */
  readonly bus?: Bus
  /** The url of the bus; it wins over the file and the environment. */
  readonly url?: string
  /** Options of the bus that is opened; they win over those that follow from the file. */
  readonly busOptions?: OpenOptions
  /** Where input is read and output printed. Without one nothing is printed, and a command line has no lines. */
  readonly terminal?: Terminal
  /** Told which bus was chosen, and why. */
  readonly onChosen?: (choice: BackendChoice) => void
  /** Told what somebody ought to know of the bus: that nothing outlives the process, what a setting cannot do. */
  readonly onWarning?: (text: string) => void
  readonly onProgress?: (progress: StartProgress) => void
  /** Told addresses that are listened on, and choices that were made. */
  readonly tell?: (line: string) => void
  /** Told of what went wrong beside the messages. */
  readonly onFault?: (fault: SwarmFault) => void
  /** Milliseconds for the whole start. Default 30 000. */
  readonly startTimeoutMs?: number
  readonly signal?: AbortSignal
  readonly env?: Env
}

/** A file that runs. Ends with `await using`, which drains. */
export interface SwarmRun extends AsyncDisposable {
  readonly loaded: LoadedSwarm
  readonly bus: Bus
  readonly swarm: Swarm
  /** Where the bus is, and why; undefined for one that was given. */
  readonly choice: BackendChoice | undefined
  /** Resolves when every input has ended and what came of it is done; never while an input goes on. */
  readonly ended: Promise<void>
  /** Takes nothing new, finishes what is on its way, ends the components, closes the bus. The second call gives the result of the first. */
  stop(options?: { readonly limitMs?: number }): Promise<StopReport>
  stats(): RunStats
}

/** The figures of a run. */
export interface RunStats {
  readonly swarm: ReturnType<Swarm['stats']>
  readonly bus: ReturnType<Bus['stats']>
}

/**
 * Runs what a `.ww` file describes: loads it, opens its bus, makes and starts its components in the order in which they need each other.
 * Throws CONFIG_INVALID with every error of the file, START_FAILED when a component does not start (everything is ended again), and what
 * `openBus` throws.
 *
 * @example
 * await using run = await openSwarm('main.ww', { terminal })
 * await run.ended
 */
export async function openSwarm(what: SwarmText | LoadedSwarm, options: OpenSwarmOptions = {}): Promise<SwarmRun> {
  const loaded = isLoaded(what) ? what : await loadSwarm(what, options)
  mustBeValid(loaded)
  const { bus, choice } = await busOf(loaded, options)
  const { secrets } = loaded
  const owned = options.bus === undefined
  const scripts = new Map(loaded.scripts.map((one) => [one.spec, one.run]))
  let swarm: Swarm | undefined
  try {
    const { terminal, tell, onFault, startTimeoutMs, env, strict } = options
    swarm = createSwarm({
      bus,
      catalog: loaded.catalog,
      components: loaded.specs,
      folder: loaded.folder,
      scripts: (script) => {
        const run = scripts.get(script)
        if (run !== undefined) return run
        throw new BusError('CONFIG_INVALID', `"${script.function}" of "${script.script}" was not loaded`)
      },
      ...(terminal === undefined ? {} : { terminal }),
      ...(tell === undefined ? {} : { tell: (line: string) => tell(secrets.mask(line)) }),
      ...(onFault === undefined
        ? {}
        : { onFault: (fault: SwarmFault) => onFault({ ...fault, message: secrets.mask(fault.message) }) }),
      ...(strict === undefined ? {} : { strict }),
      ...(startTimeoutMs === undefined ? {} : { startTimeoutMs }),
      ...(env === undefined ? {} : { env }),
    })
    const { onProgress, signal } = options
    await swarm.start({
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(signal === undefined ? {} : { signal }),
    })
  } catch (error) {
    await swarm?.stop({ limitMs: 1_000 })
    if (owned) await bus.close({ limitMs: 0 })
    throw placed(error, loaded)
  }
  return runOf(loaded, bus, swarm, choice, owned)
}

/** What a component said when it could not start, with the place where it is declared; values of variables are masked. */
function placed(error: unknown, { specs, secrets }: LoadedSwarm): unknown {
  if (!isBusError(error)) return error
  const place = specs.find(({ name }) => name === error.details.component)?.place
  const where = place === undefined ? '' : `${place.file}:${place.line}:${place.column}: `
  const message = secrets.mask(`${where}${error.message}`)
  if (message === error.message) return error
  return new BusError(error.code, message, { cause: error, details: error.details })
}

function isLoaded(what: SwarmText | LoadedSwarm): what is LoadedSwarm {
  return typeof what === 'object' && 'plan' in what
}

async function busOf(
  loaded: LoadedSwarm,
  { bus, url, busOptions, env, onChosen, onWarning }: OpenSwarmOptions,
): Promise<{ readonly bus: Bus; readonly choice: BackendChoice | undefined }> {
  if (bus !== undefined) return { bus, choice: undefined }
  const place = placeOf(loaded, url)
  const { secrets } = loaded
  let choice = shownChoice({ url: place.shown, why: place.why }, secrets)
  onChosen?.(choice)
  for (const warning of place.warnings) onWarning?.(secrets.mask(warning))
  const [main] = [...loaded.sources.keys()].slice(-1)
  const opened = await openBus(place.url, {
    name: main === undefined ? 'swarm' : basename(main),
    ...place.options,
    // Every target is declared in the file: what goes elsewhere is a fault that somebody must hear of, not a message that waits for ever.
    unknownAgent: 'refuse',
    ...(env === undefined ? {} : { env }),
    ...busOptions,
    onChosen: (now) => {
      busOptions?.onChosen?.(now)
      if (!now.why.startsWith('fallback')) return
      choice = shownChoice(now, secrets)
      onChosen?.(choice)
    },
  })
  return { bus: opened, choice }
}

/** A url that came out of the environment shows no more than what kind of bus it is. */
function shownChoice({ url, why }: BackendChoice, secrets: LoadedSwarm['secrets']): BackendChoice {
  const shown = secrets.mask(url)
  return { url: shown === url ? url : `${url.split(':')[0]}://***`, why: secrets.mask(why) }
}

function runOf(
  loaded: LoadedSwarm,
  bus: Bus,
  swarm: Swarm,
  choice: BackendChoice | undefined,
  owned: boolean,
): SwarmRun {
  let stopping: Promise<StopReport> | undefined
  const end = async (limitMs: number | undefined): Promise<StopReport> => {
    try {
      return await swarm.stop(limitMs === undefined ? {} : { limitMs })
    } finally {
      if (owned) await bus.close({ limitMs: 0 })
    }
  }
  return Object.freeze({
    loaded,
    bus,
    swarm,
    choice,
    ended: swarm.ended,
    stop({ limitMs }: { readonly limitMs?: number } = {}) {
      stopping ??= end(limitMs)
      return stopping
    },
    stats: () => ({ swarm: swarm.stats(), bus: bus.stats() }),
    async [Symbol.asyncDispose]() {
      stopping ??= end(undefined)
      await stopping
    },
  })
}
