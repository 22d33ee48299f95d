import { createHash } from 'node:crypto'
import { channelOf } from '../log.ts'

// Names of streams and parts are any text; names on the server are tokens of few characters and of bounded length.

const MOST_TOKEN = 120
const PLAIN = /[^a-zA-Z0-9_-]/gu

/** Where the entries of one part of a channel lie, on the server. */
export interface PartName {
  readonly token: string
  /** The token does not say the name: each record must. */
  readonly hashed: boolean
}

/** Names on the server of one channel of a swarm. */
export interface ChannelNames {
  readonly channel: string
  /** Of the JetStream stream. */
  readonly stream: string
  /** What the subjects of all its records begin with, dot included. */
  readonly root: string
  part(part: string): PartName
}

/** Made once for each channel. */
export function channelNames(prefix: string, channel: string): ChannelNames {
  const token = tokenOf(channel)
  const parts = new Map<string, PartName>()
  return {
    channel,
    stream: `${prefix}_log_${token}`,
    root: `${prefix}.log.${token}.`,
    part(part) {
      let name = parts.get(part)
      if (name === undefined) {
        const token = tokenOf(part)
        parts.set(part, (name = { token, hashed: token.startsWith('=h') }))
      }
      return name
    },
  }
}

/** Letters, digits, - and _ as they are, others as =XX of UTF-8; what gets too long is told apart by its hash. */
function tokenOf(name: string): string {
  if (name === '') return '=e'
  const token = name.replace(PLAIN, (one) =>
    [...Buffer.from(one)].map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
  if (token.length <= MOST_TOKEN) return token
  return `=h${createHash('sha256').update(name).digest('hex').slice(0, 40)}`
}

/** The name that a token says; undefined for one that is a hash. */
export function nameOfToken(token: string): string | undefined {
  if (token === '=e') return ''
  if (token.startsWith('=h')) return undefined
  return decodeURIComponent(token.replaceAll('=', '%'))
}

/** The part of a stream: what stands behind its channel. A stream without a slash has a part of its own. */
export function partOf(stream: string): string {
  const channel = channelOf(stream)
  // Told apart from the empty part by a character that no name may have.
  return channel.length === stream.length ? '\u0000' : stream.slice(channel.length + 1)
}

/** The stream of a part. */
export function streamOfPart(channel: string, part: string): string {
  return part === '\u0000' ? channel : `${channel}/${part}`
}
