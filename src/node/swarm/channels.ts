import type { KeyRule } from '../../component/kind.ts'
import { durationMs, isBlock, settingFault } from '../../component/kinds/settings.ts'
import type { Setting } from '../../component/spec.ts'
import type { BusDeclaration } from '../../config/load.ts'
import { BusError } from '../../kit/errors.ts'
import type { ChannelOptions } from '../../worker/channel.ts'
import type { OpenOptions } from '../node.ts'

const KEYS: Readonly<Record<string, KeyRule>> = {
  kept: { type: 'flag', summary: 'false: its messages are live' },
  topics: { type: 'texts', summary: 'patterns of its topics' },
  order: { type: 'text', allowed: ['lanes', 'strict'], summary: 'how far a session is in order' },
  ack_wait: { type: 'duration', min: 0.001, summary: 'after so long what nobody settled is handed on' },
  max_age: { type: 'duration', min: 0.001, summary: 'how long settled messages are kept' },
  max_count: { type: 'whole', min: 1, summary: 'how many of a lane are kept' },
}

/** The policies of channels that a bus declares: `channels: { tasks: { max_age: "7d" }, chatter: { kept: false } }`. Throws CONFIG_INVALID. */
export function channelsOf({ settings, place }: BusDeclaration): Pick<OpenOptions, 'channels'> {
  const given = settings.channels
  if (!isBlock(given)) return {}
  const fault = (text: string): BusError => {
    const { file, line, column } = place
    return new BusError('CONFIG_INVALID', `${file}:${line}:${column}: "channels": ${text}`, { details: { place } })
  }
  const channels = Object.entries(given).map(([name, block]) => {
    if (!isBlock(block)) throw fault(`"${name}" must be a block`)
    for (const [key, value] of Object.entries(block)) {
      const rule = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined
      if (rule === undefined) throw fault(`"${name}" knows no "${key}"; there are ${Object.keys(KEYS).join(', ')}`)
      const wrong = settingFault(rule, value)
      if (wrong !== undefined) throw fault(`"${key}" of "${name}" ${wrong}`)
    }
    return [name, channelOf(block)] as const
  })
  return { channels: Object.fromEntries(channels) }
}

function channelOf({
  kept,
  topics,
  order,
  ack_wait,
  max_age,
  max_count,
}: Readonly<Record<string, Setting>>): ChannelOptions {
  const ackWaitMs = msOf(ack_wait)
  const maxAgeMs = msOf(max_age)
  const retention = {
    ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
    ...(typeof max_count === 'number' ? { maxCount: max_count } : {}),
  }
  return {
    ...(typeof kept === 'boolean' ? { kept } : {}),
    ...(topics === undefined ? {} : { topics: [topics].flat() as readonly string[] }),
    ...(order === 'lanes' || order === 'strict' ? { order } : {}),
    ...(ackWaitMs === undefined ? {} : { ackWaitMs }),
    ...(Object.keys(retention).length === 0 ? {} : { retention }),
  }
}

function msOf(value: Setting | undefined): number | undefined {
  return value === undefined ? undefined : durationMs(value)
}
