// The door `swarmbus/cortex`: the Redis streams of an existing Cortex, beside the bus or joined to it.

export { connectRedis } from '../../broker/redis/connect.ts'
export type { RedisLink, RedisLinkOptions } from '../../broker/redis/link.ts'
export { BRIDGED_HEADER, type CortexBridge, type CortexBridgeOptions, cortexBridge } from './bridge.ts'
export type { CortexConsumer, CortexDelivery, CortexEvent, CortexHandler } from './consume.ts'
export type { DeadReason } from './dead.ts'
export type { CortexFields, CortexPlace } from './layout.ts'
export { type CortexNameOptions, type CortexNames, cortexNames, HEARTBEAT_TOPIC } from './names.ts'
export type { CortexEntry, CortexReadOptions } from './read.ts'
export {
  type CortexConsumeOptions,
  type CortexOptions,
  type CortexStreams,
  type CortexWriteOptions,
  cortexStreams,
} from './streams.ts'
