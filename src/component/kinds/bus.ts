import type { KeyRule, KindDefinition } from '../kind.ts'
import { defineKind } from './define.ts'

// What a `message_bus` block may say. There is nothing to make: whoever runs the file opens the bus by these settings.

const COMMON: Readonly<Record<string, KeyRule>> = {
  stream_prefix: { type: 'text', summary: 'separates swarms on one broker' },
  consumer_group: { type: 'text', summary: 'the group whose members share the work' },
  max_retries: { type: 'whole', min: 0, max: 1_000, default: 3, summary: 'tries after the first one' },
  max_queue_size: { type: 'whole', min: 1, summary: 'most messages that wait for one component' },
  dead_letter_ttl: { type: 'duration', min: 1, default: 3_600, summary: 'how long dead letters are kept' },
  channels: {
    type: 'block',
    summary: 'policies by channel: blocks of `kept`, `topics`, `order`, `ack_wait`, `max_age`, `max_count`',
  },
}

/** Keys of files written for containers; nothing here starts one. */
const CONTAINER: Readonly<Record<string, KeyRule>> = {
  image: { type: 'text', summary: 'the image of its container; nothing is started here' },
  ports: { type: 'block', summary: 'ports of its container; nothing is started here' },
  environment: { type: 'block', summary: 'variables of its container; nothing is started here' },
}

/** Buses by where they keep their messages. */
export const BUS_KINDS: readonly KindDefinition[] = [
  bus('auto', 'where the environment says: by SWARMBUS_URL, then by WOODWORK_ENV with REDIS_URL and NATS_URL', {}, [
    'message_bus auto',
  ]),
  bus('memory', 'within this process: nothing outlives it', {}, [
    'message_bus memory',
    'bus in_memory',
    'message_bus in_memory',
  ]),
  bus('sqlite', 'in one file', {
    path: { type: 'text', default: 'swarm.db', summary: 'the file, beside the .ww file' },
  }),
  bus('redis', 'on Redis', {
    redis_url: {
      type: 'text',
      required: 'REDIS_URL',
      unless: 'image',
      secret: true,
      summary: 'the address of the server',
    },
    ...CONTAINER,
  }),
  bus('nats', 'on NATS', {
    nats_url: {
      type: 'text',
      required: 'NATS_URL',
      unless: 'image',
      secret: true,
      summary: 'the address of the server',
    },
    ...CONTAINER,
  }),
  defineKind({
    kind: 'bus cortex',
    also: ['message_bus cortex'],
    role: 'bus',
    summary: 'carries the messages as the settings of Cortex say, with their variables GATEWAY_…',
    keys: {
      enabled: { type: 'flag', summary: 'false is refused: a swarm needs a bus' },
      redis_addr: { type: 'text', summary: '`host:port`, or a url of redis' },
      redis_password: { type: 'text', secret: true, summary: 'its password' },
      redis_db: { type: 'whole', min: 0, summary: 'which of its databases' },
      use_redis: { type: 'flag', summary: 'false: within this process' },
      heartbeat_interval: { type: 'any', summary: 'cannot be obeyed, and is refused' },
      websocket_port: { type: 'whole', summary: 'cannot be obeyed, and is refused' },
      enable_dlq: { type: 'flag', summary: 'false: what cannot be handled is counted and not kept' },
      enable_metrics: { type: 'flag', summary: 'true: they always are' },
      priority_processing: { type: 'flag', summary: 'true: it always is' },
    },
  }),
]

function bus(
  word: string,
  where: string,
  keys: Readonly<Record<string, KeyRule>>,
  also?: readonly string[],
): KindDefinition {
  return defineKind({
    kind: `bus ${word}`,
    also: also ?? [`message_bus ${word}`],
    role: 'bus',
    summary: `carries the messages ${where}`,
    keys: { ...COMMON, ...keys },
  })
}
