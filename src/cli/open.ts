import { existsSync, statSync } from 'node:fs'
import type { Bus } from '../bus/bus.ts'
import type { MessageLog } from '../log/log.ts'
import { type OpenLogOptions, openLog } from '../node/backends.ts'
import { openBus } from '../node/node.ts'
import { backendOf, masked, readBackendUrl, sqliteFile } from '../node/url.ts'
import type { ChannelOptions } from '../worker/channel.ts'
import { type Call, type GlobalOptions, usage } from './call.ts'
import { CliError, EXIT } from './faults.ts'

/** The log a command works on, with a bus over it. */
export interface Kept {
  readonly log: MessageLog
  readonly bus: Bus
  /** For people: without secrets. */
  readonly url: string
  /** The file, where there is one. */
  readonly file: string | undefined
}

/** How a log is opened. */
export interface OpenKept {
  /** True: a file that does not exist is made. Default false: it is refused, so that reading leaves no trace of a typing fault. */
  readonly create?: boolean
  /** Channels of messages that are published; default: those that the log has, each for any topic. */
  readonly channels?: Readonly<Record<string, ChannelOptions>>
}

const HOW = 'give --file FILE, or --url redis://HOST or nats://HOST, or set SWARMBUS_URL'

/** The url of the log that a call names. Throws a fault of usage when none, two, or one in memory is named. */
export function urlOf(options: GlobalOptions, env: Readonly<Record<string, string | undefined>>): string {
  const { url, file } = options
  if (url !== undefined && file !== undefined) throw usage('--url and --file name two logs', 'give one of them')
  if (file === '') throw usage('--file is empty', HOW)
  const chosen = file === undefined ? url || env.SWARMBUS_URL : `sqlite:${file}`
  if (chosen === undefined || chosen === '') throw usage('no log is named', HOW)
  if (chosen.startsWith('memory:')) {
    const text = 'memory: lives inside one process, so there is nothing in it for another one'
    throw usage(text, `name a log that others can open: ${HOW}`)
  }
  return chosen
}

/**
 * A short call must not make an application forget keys that it would still remember: longer than any time for which one does. On NATS
 * the time is fixed when a channel is made, so that a call cannot shorten it, and a new channel gets the usual one.
 */
function dedupOf(url: string): OpenLogOptions {
  return backendOf(readBackendUrl(url).scheme) === 'nats' ? {} : { dedupMs: Number.MAX_SAFE_INTEGER }
}

/** The policy under which the program only does what it is told: it removes nothing by age or number, and evicts no dead letter. */
const KEEP_ALL: ChannelOptions = {
  retention: { maxAgeMs: Number.MAX_SAFE_INTEGER, maxCount: Number.MAX_SAFE_INTEGER },
  deadLetters: false,
}

/** Opens the log that the call names, hands it to `use`, and closes it. Throws what opening throws. */
export async function withKept(
  call: Call,
  use: (kept: Kept) => Promise<number>,
  options: OpenKept = {},
): Promise<number> {
  const { io } = call
  const url = urlOf(call.options, io.env)
  const file = sqliteFile(url)
  // An url without a file is refused by whoever reads urls.
  if (file !== undefined && file !== '' && options.create !== true) mustExist(file)
  const log = await (io.openLog ?? openLog)(url, dedupOf(url))
  try {
    const bus = await openBus(log, { defaults: KEEP_ALL, channels: options.channels ?? (await channelsOf(log)) })
    try {
      return await use({ log, bus, url: masked(url), file })
    } finally {
      await bus.close()
    }
  } finally {
    await log[Symbol.asyncDispose]()
  }
}

/** Throws unless there is a file of that name. */
export function mustExist(file: string): void {
  if (!existsSync(file)) {
    throw new CliError(EXIT.failed, `there is no file ${file}`, 'check the path; `swarmbus publish` makes a new one')
  }
  if (!statSync(file).isFile()) throw new CliError(EXIT.failed, `${file} is no file`, 'give the file of the log itself')
}

/** An application may have given a channel topics of any name, and the log does not say which: so each is asked for all of them. */
async function channelsOf(log: MessageLog): Promise<Readonly<Record<string, ChannelOptions>>> {
  const names = new Set((await log.streams()).map(({ stream }) => stream.slice(0, stream.lastIndexOf('/'))))
  return Object.fromEntries([...names].map((name) => [name, { topics: ['>'] }]))
}
