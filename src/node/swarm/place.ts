import { resolve } from 'node:path'
import { durationMs } from '../../component/kinds/settings.ts'
import type { Setting } from '../../component/spec.ts'
import type { BusDeclaration, LoadedSwarm } from '../../config/load.ts'
import { BusError, isBusError } from '../../kit/errors.ts'
import type { OpenOptions } from '../node.ts'
import { type CortexMessaging, cortexSettings } from '../settings/cortex.ts'
import { type Environment, variable } from '../settings/settings.ts'
import { type WoodworkBusSettings, woodworkSettings } from '../settings/woodwork.ts'
import { masked } from '../url.ts'
import { channelsOf } from './channels.ts'

/** Where the bus of a swarm is, and how that was decided. */
export interface BusPlace {
  /** For `openBus`, with the secrets in it. */
  readonly url: string
  /** For people: without passwords. */
  readonly shown: string
  /** For people: what decided. */
  readonly why: string
  readonly warnings: readonly string[]
  readonly group: string
  readonly options: OpenOptions
}

/**
 * Decides where the bus of a swarm is: the url that is given, else what its file declares, else SWARMBUS_URL, else as WOODWORK_ENV with
 * REDIS_URL and NATS_URL says. Limits that the file declares hold in any case. Throws CONFIG_INVALID with the place for settings that
 * cannot be.
 */
export function placeOf({ bus, variables, folder }: LoadedSwarm, given: string | undefined): BusPlace {
  const limits = bus === undefined ? {} : limitsOf(bus)
  const environment = variables.all
  const channels = bus === undefined ? {} : channelsOf(bus)
  const where = given === undefined ? bus : undefined
  try {
    if (given !== undefined) return made({ ...limits, url: given }, environment, 'given', channels)
    if (where?.url !== undefined) return made({ ...limits, url: where.url }, environment, declaredAt(where), channels)
    const word = where?.kind?.split(' ').at(-1)
    if (where !== undefined && word !== undefined && word !== 'auto') {
      const { settings } = where
      const broker = { ...textOf(settings, 'redis_url'), ...textOf(settings, 'nats_url') }
      const why = declaredAt(where)
      if (word === 'cortex') return cortex(where, environment, why)
      if (word === 'sqlite') {
        const path = textOf(settings, 'path').path ?? 'swarm.db'
        return made({ ...limits, url: `sqlite:${resolve(folder, path)}` }, environment, why, channels)
      }
      return made(
        { ...limits, ...broker, type: word as NonNullable<WoodworkBusSettings['type']> },
        environment,
        why,
        channels,
      )
    }
  } catch (error) {
    if (!isBusError(error) || (error.code !== 'INVALID_OPTION' && error.code !== 'UNSUPPORTED')) throw error
    if (where === undefined) throw new BusError(error.code, saidOf(error, 'the url of the bus'), { cause: error })
    const { file, line, column } = where.place
    throw new BusError('CONFIG_INVALID', `${file}:${line}:${column}: ${saidOf(error, '"message_bus"')}`, {
      cause: error,
    })
  }
  const url = variable(environment, 'SWARMBUS_URL')
  if (url !== undefined) {
    try {
      return made({ ...limits, url }, environment, 'from SWARMBUS_URL', channels)
    } catch (error) {
      if (!isBusError(error)) throw error
      throw new BusError(error.code, saidOf(error, 'SWARMBUS_URL'), { cause: error })
    }
  }
  return made(limits, environment, reasonOf(environment), channels)
}

/** What is wrong with settings, for people who do not know who read them. */
function saidOf({ message }: BusError, url: string): string {
  return message.replace(/^\w+Settings: /, '').replace('"message_bus"', url)
}

function made(
  settings: WoodworkBusSettings,
  environment: Environment,
  why: string,
  channels: Pick<OpenOptions, 'channels'>,
): BusPlace {
  const { url, group, options: limits, warnings } = woodworkSettings(settings, environment)
  const options = { ...limits, ...channels }
  return { url, shown: masked(url), why, warnings, group, options }
}

/** The settings of Cortex as a preset. */
function cortex({ settings: given }: BusDeclaration, environment: Environment, why: string): BusPlace {
  const settings = cortexSettings(given as CortexMessaging, environment)
  if (!settings.enabled) {
    throw new BusError(
      'INVALID_OPTION',
      'the bus is not "enabled", and a swarm needs one: leave the block away for one in memory',
    )
  }
  const { url, group, options, warnings } = settings
  return { url, shown: masked(url), why, warnings, group, options }
}

function declaredAt({ place: { file, line } }: BusDeclaration): string {
  return `declared at ${file}:${line}`
}

/** Why a bus that nobody named is where it is. */
function reasonOf(environment: Environment): string {
  const stage = variable(environment, 'WOODWORK_ENV')
  const said = stage === undefined ? 'WOODWORK_ENV is not set, which means development' : `WOODWORK_ENV is ${stage}`
  const names = ['REDIS_URL', 'NATS_URL'].filter((name) => variable(environment, name) !== undefined)
  return `SWARMBUS_URL is not set, ${said}, and ${names.length === 0 ? 'neither REDIS_URL nor NATS_URL is set' : `${names.join(' and ')} ${names.length === 1 ? 'is' : 'are'} set`}`
}

function textOf<K extends string>(
  settings: Readonly<Record<string, Setting>>,
  key: K,
): { readonly [key in K]?: string } {
  const value = Object.hasOwn(settings, key) ? settings[key] : undefined
  return (typeof value === 'string' ? { [key]: value } : {}) as { readonly [key in K]?: string }
}

/** What holds wherever the bus is. */
function limitsOf({ settings }: BusDeclaration): WoodworkBusSettings {
  const whole = (key: 'max_retries' | 'max_queue_size'): object => {
    const value = settings[key]
    return typeof value === 'number' ? { [key]: value } : {}
  }
  const ttl = settings.dead_letter_ttl
  const ttlMs = ttl === undefined ? undefined : durationMs(ttl)
  return {
    ...textOf(settings, 'stream_prefix'),
    ...textOf(settings, 'consumer_group'),
    ...textOf(settings, 'fallback'),
    ...whole('max_retries'),
    ...whole('max_queue_size'),
    ...(ttlMs === undefined ? {} : { dead_letter_ttl: ttlMs / 1_000 }),
  }
}
