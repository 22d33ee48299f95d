/** Where a record lies that a consumer of the server has brought. */
export interface Origin {
  readonly seq: number
  /** How many the consumer has brought, this one included, and how many more there are behind it. */
  readonly count: number
  readonly pending: number
  /** Milliseconds of the server's clock. */
  readonly at: number
}

/** Reads the reply subject of a record; undefined for what is none, but a word of the server about its work. */
export function originOf(reply: string | undefined): Origin | undefined {
  if (reply === undefined || !reply.startsWith('$JS.ACK.')) return undefined
  // From the right: newer servers have two more tokens on the left.
  const tokens = reply.split('.')
  const last = tokens.length > 9 ? 10 : 8
  return {
    seq: Number(tokens[last - 3]),
    count: Number(tokens[last - 2]),
    at: Math.floor(Number((tokens[last - 1] as string).slice(0, -3)) / 1_000),
    pending: Number(tokens[last]),
  }
}
