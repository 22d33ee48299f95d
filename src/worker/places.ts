import { BusError } from '../kit/errors.ts'
import type { Offset } from '../log/log.ts'

/** A place in the kept messages: an offset in a stream. */
export interface Place {
  readonly stream: string
  readonly offset: Offset
}

/** The text of a place, as acks and replays give it. */
export function writePlace({ stream, offset }: Place): string {
  return `${stream}:${offset}`
}

/** Throws INVALID_OPTION for a text that no ack gave. */
export function readPlace(text: string): Place {
  const at = text.lastIndexOf(':')
  const slash = text.lastIndexOf('/', at)
  if (at < 0 || slash < 1 || at === text.length - 1) {
    throw new BusError(
      'INVALID_OPTION',
      `"${text}" is no offset; allowed: the offset of an ack, as "tasks/normal:17"`,
      {
        details: { field: 'offset', value: text, allowed: 'the offset of an ack' },
      },
    )
  }
  return { stream: text.slice(0, at), offset: text.slice(at + 1) }
}
