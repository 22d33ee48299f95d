/** Where a record lies that a consumer of the server has brought. */
export interface Origin {
  readonly seq: number
  /** How many the consumer has brought, this one included, and how many more there are behind it. */
  readonly count: number
  readonly pending: number
  /** Milliseconds of the server's clock. */
  readonly at: number
}

// Hot path: once for each record, without an array of its tokens.

const DOT = 46
/** Of a subject with a random end, as newer servers write it. */
const DOTS_WITH_END = 11
const NANOS = 6

/** Reads the reply subject of a record; undefined for what is none, but a word of the server about its work. */
export function originOf(reply: string | undefined): Origin | undefined {
  if (reply === undefined || !reply.startsWith('$JS.ACK.')) return undefined
  let dots = 0
  for (let at = 0; at < reply.length; at++) if (reply.charCodeAt(at) === DOT) dots++
  let end = reply.length
  if (dots >= DOTS_WITH_END) end = reply.lastIndexOf('.')
  // From the right: pending, time, count, sequence.
  const pendingAt = reply.lastIndexOf('.', end - 1)
  const timeAt = reply.lastIndexOf('.', pendingAt - 1)
  const countAt = reply.lastIndexOf('.', timeAt - 1)
  const seqAt = reply.lastIndexOf('.', countAt - 1)
  return {
    seq: Number(reply.slice(seqAt + 1, countAt)),
    count: Number(reply.slice(countAt + 1, timeAt)),
    at: Number(reply.slice(timeAt + 1, pendingAt - NANOS)),
    pending: Number(reply.slice(pendingAt + 1, end)),
  }
}
