import { BusError, isBusError } from '../../kit/errors.ts'
import { Envelope } from '../../message/message.ts'
import type { Core } from '../core.ts'
import type { Chunk } from '../publisher.ts'
import { StreamRequest } from '../stream-reply.ts'
import type { FarPending } from './side.ts'

/** The stream itself says when it stalls; this only ends what everybody forgot. */
const STALL_MS = 86_400_000

/**
 * Reads a stream that another process holds: from a chunk on, each once, ascending. `ask` asks the processes and says how many they are.
 * Throws STREAM_CLOSED when none of them knows the stream, and what ended it otherwise than by completion.
 */
export async function* readFar(
  core: Core,
  stream: string,
  ask: (pending: FarPending, re: string) => Promise<number>,
): AsyncGenerator<Chunk, void, undefined> {
  const setup = { ...core.streams.setup, id: stream, stallMs: STALL_MS }
  const pending = new StreamRequest(core.requests, undefined, setup)
  const message = core.maker.make('_bus.stream', undefined, undefined, undefined)
  core.requests.open(pending, message, Number.POSITIVE_INFINITY, Envelope.publishedMs(message))
  const unknown = (): BusError =>
    new BusError('STREAM_CLOSED', `there is no stream "${stream}"`, { details: { stream } })
  try {
    const processes = await ask(pending, message.replyTo as string)
    if (processes === 0) throw unknown()
    pending.arm(processes)
    for await (const chunk of pending.buffer.read(0)) yield checked(chunk.data, stream)
  } catch (error) {
    throw isBusError(error, 'NO_RESPONDERS') ? unknown() : error
  } finally {
    pending.buffer.cancel('the reader left')
  }
}

/** A chunk as its process sent it. Throws DECODE_FAILED. */
function checked(told: unknown, stream: string): Chunk {
  const chunk = told as Chunk | null | undefined
  if (typeof chunk === 'object' && chunk !== null && Number.isSafeInteger(chunk.index)) return chunk
  throw new BusError('DECODE_FAILED', `a chunk of stream "${stream}" cannot be read`, { details: { stream } })
}
