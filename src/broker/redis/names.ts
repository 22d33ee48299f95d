import type { Rule } from '../../kit/check.ts'
import type { RedisLink } from './link.ts'

/** What separates swarms on one server: the first part of all keys and channels. */
export const aRedisPrefix: Rule = {
  allowed: 'letters, digits, "-" and "_", at most 64',
  ok: (value) => typeof value === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(value),
}

/** A link that `connectRedis` made. */
export const aRedisLink: Rule = {
  allowed: 'a link of connectRedis()',
  ok: (value) => typeof value === 'object' && value !== null && typeof (value as RedisLink).everywhere === 'function',
}
