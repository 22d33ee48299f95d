// The door `swarmbus/redis`: the parts of `openBus('redis://…')`, for those who put them together themselves.

export { connectRedis } from '../../broker/redis/connect.ts'
export type {
  RedisArg,
  RedisLine,
  RedisLink,
  RedisLinkOptions,
  RedisReply,
  RedisScript,
} from '../../broker/redis/link.ts'
export { type RedisLevel, type RedisProof, type RedisReason, redisProof } from '../../broker/redis/proof.ts'
export { type LinkEvent, Watch } from '../../broker/watch.ts'
export { type RedisLeasesOptions, redisLeases } from '../../lease/redis/redis.ts'
export { type HeldAppendsOptions, heldAppends } from '../../log/offline.ts'
export { type RedisLogOptions, redisLog } from '../../log/redis/redis.ts'
export { type RedisWireOptions, redisWire } from '../../wire/redis/redis.ts'
