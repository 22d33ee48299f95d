/** Hands lines to whoever asks for one. */
export interface Feed {
  /** Gives the next line, undefined behind the last one, unless it is no longer wanted when it comes: then it is kept for the next who asks. */
  give(isWanted: () => boolean, take: (line: string | undefined) => void): Promise<void>
}

/** Reads no line before it is asked for: what nobody has asked for is not lost with the swarm that ends. */
export function feedOf(lines: AsyncIterable<string>): Feed {
  const iterator = lines[Symbol.asyncIterator]()
  let waiting: Promise<string | undefined> | undefined
  return {
    async give(isWanted, take) {
      waiting ??= iterator.next().then(
        ({ done, value }) => (done === true ? undefined : value),
        // Input that breaks off has ended.
        () => undefined,
      )
      const line = await waiting
      if (!isWanted()) return
      // The end stays the end, whoever asks.
      if (line !== undefined) waiting = undefined
      take(line)
    },
  }
}
