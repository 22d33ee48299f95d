import { type RedisScript, redisScript } from '../../broker/redis/link.ts'
import { APPEND } from './lua-append.ts'
import { HURT } from './lua-hurt.ts'
import { BEAT, FIGURES, FIND, FITTING, GROUPED, JOIN, LEAVE, MEND, RANGE, STREAMS, TRIM } from './lua-manage.ts'
import { SETTLE } from './lua-settle.ts'
import { TAKE } from './lua-take.ts'

const made = {
  append: APPEND,
  take: TAKE,
  settle: SETTLE,
  beat: BEAT,
  join: JOIN,
  leave: LEAVE,
  figures: FIGURES,
  streams: STREAMS,
  grouped: GROUPED,
  trim: TRIM,
  range: RANGE,
  fitting: FITTING,
  find: FIND,
  mend: MEND,
  hurt: HURT,
}

/** The steps of a log on Redis, each atomic. */
export const SCRIPTS = Object.freeze(
  Object.fromEntries(Object.entries(made).map(([name, lua]) => [name, redisScript(lua)])),
) as Readonly<Record<keyof typeof made, RedisScript>>

/** Those that only read: the clock of the channel stays where it was. */
export const READING: ReadonlySet<RedisScript> = new Set([
  SCRIPTS.streams,
  SCRIPTS.grouped,
  SCRIPTS.range,
  SCRIPTS.fitting,
  SCRIPTS.find,
  SCRIPTS.hurt,
])
