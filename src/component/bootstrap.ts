import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdirSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EVENTS, type EventName } from '../bus/announce.ts'
import { type Bus, createBus, type DrainOptions } from '../bus/bus.ts'
import type { Handler } from '../bus/handler.ts'
import type { DrainReport } from '../bus/lifecycle.ts'
import { aFlag, aFunction, anObject, aText, checkOption, checkOptions, oneOf, type Rule } from '../kit/check.ts'
import { type Env, systemEnv } from '../kit/env.ts'
import { describeThrown } from '../kit/errors.ts'
import type { Message } from '../message/message.ts'

/** How much is told: each level tells what the ones behind it do as well. */
export type LogLevel = 'DEBUG' | 'INFO' | 'WARNING' | 'ERROR'

const LEVELS: readonly LogLevel[] = ['DEBUG', 'INFO', 'WARNING', 'ERROR']

/** A handler that is there from the beginning. */
export interface BootstrapHandler {
  readonly pattern: string
  readonly handler: Handler
}

/** What a program begins with. */
export interface BootstrapConfig {
  /** Of the bus. Default `swarm`. */
  readonly name?: string
  /** Default `INFO`. */
  readonly logLevel?: LogLevel
  /** Lines for people go to `write`. Default true, as soon as there is one. */
  readonly print?: boolean
  /** Where lines for people go: a library prints nothing by itself. */
  readonly write?: (line: string) => void
  /** A file of JSON lines. Default true. */
  readonly file?: boolean
  /** The folder of the file; made if it is missing. Default `logs`. */
  readonly directory?: string
  /** The session that the handlers listen to. Default: all. */
  readonly session?: string
  readonly handlers?: readonly BootstrapHandler[]
  /** A bus of one's own, made with `autoStart: false` if nothing may be missed. Default: one is made. */
  readonly bus?: Bus
  readonly env?: Env
}

/** A bus that runs, with what is told of it. */
export interface Bootstrapped extends AsyncDisposable {
  readonly bus: Bus
  /** The file of JSON lines; undefined when there is none. */
  readonly path: string | undefined
  /** Lines that could not be written. */
  readonly lost: number
  /** Drains the bus, then writes what is left; closes a bus that was made here. */
  stop(options?: DrainOptions): Promise<DrainReport>
}

const RULES: Readonly<Record<string, Rule>> = {
  name: aText,
  logLevel: oneOf(LEVELS),
  print: aFlag,
  write: aFunction,
  file: aFlag,
  directory: aText,
  session: aText,
  handlers: {
    allowed: 'a list of { pattern, handler }',
    ok: (value) => Array.isArray(value) && value.every(anObject.ok),
  },
  bus: anObject,
  env: anObject,
}

/** What each announcement is worth; what is not named here is a warning. */
const WORTH: Partial<Record<EventName, LogLevel>> = {
  'message.published': 'INFO',
  'agent.registered': 'INFO',
  'agent.unregistered': 'INFO',
  'process.joined': 'INFO',
  'process.left': 'INFO',
  'log.reconnected': 'INFO',
  'dead-letter.redriven': 'INFO',
  'dead-letter.discarded': 'INFO',
  'message.replayed': 'INFO',
  'message.handled': 'DEBUG',
  'message.acked': 'DEBUG',
  'message.failed': 'ERROR',
  'message.died': 'ERROR',
  'log.failed': 'ERROR',
  'log.lost': 'ERROR',
  'callback.failed': 'ERROR',
}

interface Told {
  readonly bus: string
  readonly message?: Message
  readonly letter?: { readonly message: Message }
  readonly name?: string
  readonly agent?: { readonly name: string }
  readonly error?: unknown
}

/**
 * Begins a program from its settings: a bus, its handlers in their session, a file of JSON lines and lines for people about what happens,
 * and the start, in this order. Throws INVALID_OPTION, and what making the folder throws.
 */
export function bootstrap(config: BootstrapConfig = {}): Bootstrapped {
  checkOptions('bootstrap', config, RULES)
  const { env = systemEnv(), logLevel = 'INFO', write, session, handlers = [], file = true } = config
  if (config.print === true) checkOption('bootstrap', 'write', write, aFunction)
  const bus = config.bus ?? createBus({ name: config.name ?? 'swarm', env, autoStart: false })
  const path = file ? join(config.directory ?? 'logs', `events_${stampOf(env.wallMs())}.jsonl`) : undefined
  if (path !== undefined) mkdirSync(config.directory ?? 'logs', { recursive: true })
  const lines = path === undefined ? undefined : new Lines(path)
  const print = config.print === false ? undefined : write
  const unhear = hear(bus.stats().name, LEVELS.indexOf(logLevel), (level, event, told) => {
    const record = recordOf(env.wallMs(), level, event, told)
    lines?.add(`${JSON.stringify(record)}\n`)
    print?.(lineOf(record))
  })
  const scope = session === undefined ? bus : bus.session(session)
  for (const { pattern, handler } of handlers) scope.subscribe(pattern, handler)
  bus.start()
  const stop = async (options?: DrainOptions): Promise<DrainReport> => {
    const report = await (config.bus === undefined ? bus.close(options) : bus.drain(options))
    unhear()
    await lines?.flush()
    return report
  }
  return Object.freeze({
    bus,
    path,
    get lost() {
      return lines?.lost ?? 0
    },
    stop,
    async [Symbol.asyncDispose]() {
      await stop()
    },
  } satisfies Bootstrapped)
}

/** Listens to what the bus of a name announces, from a level on. */
function hear(name: string, least: number, tell: (level: LogLevel, event: EventName, told: Told) => void): () => void {
  const ends = EVENTS.flatMap((event) => {
    const level = WORTH[event] ?? 'WARNING'
    if (LEVELS.indexOf(level) < least) return []
    const onAnnounced = (fields: unknown): void => {
      try {
        if ((fields as Told).bus === name) tell(level, event, fields as Told)
      } catch {
        // What a listener throws would end the process.
      }
    }
    subscribe(`swarmbus.${event}`, onAnnounced)
    return [() => unsubscribe(`swarmbus.${event}`, onAnnounced)]
  })
  return () => {
    for (const end of ends) end()
  }
}

/** One line of the file. Data is not in it: it may be secret, or large. */
interface Recorded {
  readonly time: string
  readonly level: LogLevel
  readonly event_type: string
  readonly event_id: string | undefined
  readonly session_id: string | undefined
  readonly metadata: Readonly<Record<string, string>>
}

function recordOf(wallMs: number, level: LogLevel, event: string, told: Told): Recorded {
  const message = told.message ?? told.letter?.message
  const name = told.name ?? told.agent?.name
  return {
    time: new Date(wallMs).toISOString(),
    level,
    event_type: event,
    event_id: message?.id,
    session_id: message?.session,
    metadata: {
      ...(message === undefined ? {} : { topic: message.topic }),
      ...(message?.from === undefined ? {} : { from: message.from }),
      ...(name === undefined ? {} : { name }),
      ...(told.error === undefined ? {} : { error: describeThrown(told.error) }),
    },
  }
}

function lineOf({ time, level, event_type, event_id, session_id, metadata }: Recorded): string {
  const more = Object.entries(metadata).map(([name, value]) => `${name}=${value}`)
  return [time, level, event_type, event_id, session_id, ...more].filter((part) => part !== undefined).join(' ')
}

/** A time as part of the name of a file. */
function stampOf(wallMs: number): string {
  return new Date(wallMs).toISOString().replaceAll(/[-:]/g, '').replace('T', '_').slice(0, 15)
}

const MOST_WAITING = 100_000

/** Appends lines to a file: in order, many at a time, beside the messages. */
class Lines {
  readonly #path: string
  #waiting: string[] = []
  #writing: Promise<void> | undefined = undefined
  lost = 0

  constructor(path: string) {
    this.#path = path
  }

  add(line: string): void {
    if (this.#waiting.length >= MOST_WAITING) {
      this.lost++
      return
    }
    this.#waiting.push(line)
    this.#writing ??= this.#write()
  }

  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
  }

  async #write(): Promise<void> {
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const lines = this.#waiting
      this.#waiting = []
      try {
        await appendFile(this.#path, lines.join(''))
      } catch {
        this.lost += lines.length
      }
    }
    this.#writing = undefined
  }
}
