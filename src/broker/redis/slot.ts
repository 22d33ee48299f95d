/** How many slots a cluster has. */
export const SLOTS = 16_384

/** CRC16/XMODEM, by which a cluster spreads its keys (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec). */
function crc16(bytes: Uint8Array): number {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff
  }
  return crc
}

/** The slot of a key: of what stands between its first `{` and the next `}`, if anything does. */
export function slotOf(key: string): number {
  const from = key.indexOf('{')
  const to = from === -1 ? -1 : key.indexOf('}', from + 1)
  const tag = to > from + 1 ? key.slice(from + 1, to) : key
  return crc16(Buffer.from(tag)) % SLOTS
}
