/** A 32-bit hash of a text: FNV-1a, mixed at its end as MurmurHash3 does, so that near texts lie far apart. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/**
 * The process for a key by rendezvous hashing: whoever knows the same processes chooses the same one, and when one comes or goes, only
 * the keys move that it gets or had.
 */
export function chooseProcess(key: string, processes: Iterable<string>): string | undefined {
  let best: string | undefined
  let most = -1
  for (const id of processes) {
    const weight = hashOf(`${key} ${id}`)
    if (weight < most || (weight === most && id > (best as string))) continue
    best = id
    most = weight
  }
  return best
}
