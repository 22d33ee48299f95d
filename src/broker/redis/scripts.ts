import { BusError } from '../../kit/errors.ts'
import type { RedisArg, RedisReply, RedisScript } from './link.ts'

/** Runs a script by its name, and loads it when the server does not know it: it ran never or once. */
export async function runScript(
  send: (args: readonly RedisArg[]) => Promise<RedisReply>,
  script: RedisScript,
  keys: readonly string[],
  args: readonly RedisArg[],
): Promise<RedisReply> {
  const call = ['EVALSHA', script.sha, String(keys.length), ...keys, ...args]
  try {
    return await send(call)
  } catch (error) {
    if (!isUnknownScript(error)) throw error
    await send(['SCRIPT', 'LOAD', script.lua])
    return send(call)
  }
}

function isUnknownScript(error: unknown): boolean {
  return error instanceof BusError && error.details.answer === 'NOSCRIPT'
}
