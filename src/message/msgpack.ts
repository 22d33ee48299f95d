import { decode, encode } from '@msgpack/msgpack'
import { BusError } from '../kit/errors.ts'
import { type Codec, type CodecOptions, packMessage, sizedCodec } from './codec.ts'
import { scanMsgpack } from './msgpack-scan.ts'

// 64 levels of data, each at most four levels of tags, and the envelope.
const MAX_NESTING = 300

/**
 * Messages as MessagePack, with the same content as `jsonCodec()` and bytes without base64. Needs the package `@msgpack/msgpack`.
 * Throws INVALID_OPTION.
 */
export function msgpackCodec(options: CodecOptions = {}): Codec {
  return sizedCodec('msgpack', 'application/vnd.msgpack', options, {
    write: (message) => Uint8Array.from(encode(packMessage(message, 'binary'), { maxDepth: MAX_NESTING })),
    read(bytes) {
      // The library makes room for whatever length a header claims, so the claims are added up first.
      scanMsgpack(bytes, MAX_NESTING)
      try {
        return decode(bytes)
      } catch (error) {
        throw new BusError('DECODE_FAILED', `malformed MessagePack: ${(error as Error).message}`, { cause: error })
      }
    },
  })
}
