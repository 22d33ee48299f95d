import { encode } from '@msgpack/msgpack'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fakeEnv } from '../testing/fake-env.ts'
import { jsonCodec, toJson } from './codec.ts'
import { msgpackCodec } from './msgpack.ts'
import { scanMsgpack } from './msgpack-scan.ts'
import { restoreMessage } from './restore.ts'

const env = fakeEnv()
const codec = msgpackCodec({ env })
const message = restoreMessage(
  { id: '0190a000-0000-7000-8000-000000000001', topic: 't', data: new Uint8Array(3_000), time: 5 },
  env,
)

test('bytes travel without base64', () => {
  expect(codec.encode(message).length).toBeLessThan(3_200)
  expect(jsonCodec().encode(message).length).toBeGreaterThan(4_000)
  expect(codec.contentType).toBe('application/vnd.msgpack')
})

test('the scan accepts whatever the library writes', () => {
  fc.assert(
    fc.property(fc.anything({ withSparseArray: false, maxDepth: 4 }), (value) => {
      let bytes: Uint8Array
      try {
        bytes = encode(value)
      } catch {
        return
      }
      expect(() => scanMsgpack(bytes, 100)).not.toThrow()
    }),
  )
  expect(() => scanMsgpack(encode('x'.repeat(70_000)), 1)).not.toThrow()
  expect(() => scanMsgpack(encode(Array.from({ length: 70_000 }, () => 1)), 1)).not.toThrow()
})

test.each([
  ['a list that claims 4 billion values', [0xdd, 0xff, 0xff, 0xff, 0xff, 1], 5],
  ['a map that claims 65 000 pairs', [0xde, 0xff, 0xff], 3],
  ['a text that claims more bytes than there are', [0xdb, 0, 0, 0, 9, 1], 6],
  ['a cut length', [0xdd, 0xff], 2],
  ['nothing', [], 0],
  ['two values', [1, 2], 1],
  ['a type that is never used', [0xc1], 0],
  ['an extension', [0xd4, 1, 1], 0],
])('%s is refused with its position', (_name, bytes, position) => {
  expect(() => codec.decode(Uint8Array.from(bytes))).toThrow(
    expect.objectContaining({ code: 'DECODE_FAILED', details: { field: 'bytes', position } }),
  )
})

test('nested claims are added up, so that 100 KB never ask for gigabytes', () => {
  const bomb = new Uint8Array(100_000)
  for (let at = 0; at + 5 < bomb.length; at += 5) bomb.set([0xdd, 0, 1, 0, 0], at)
  const before = process.memoryUsage().rss
  expect(() => codec.decode(bomb)).toThrow(expect.objectContaining({ code: 'DECODE_FAILED' }))
  expect(process.memoryUsage().rss - before).toBeLessThan(50_000_000)
})

test('more levels than a message can have are refused', () => {
  expect(() => codec.decode(new Uint8Array(1_000).fill(0x91))).toThrow(
    expect.objectContaining({ code: 'DECODE_FAILED' }),
  )
})

test('a view into a larger buffer is read as such, and nothing of it is kept', () => {
  const bytes = codec.encode(message)
  const larger = new Uint8Array(bytes.length + 20).fill(0xc1)
  larger.set(bytes, 10)
  const read = codec.decode(larger.subarray(10, 10 + bytes.length))
  larger.fill(7)
  expect(toJson(read)).toEqual(toJson(message))
})

test('names that reach into prototypes are refused', () => {
  const packed = encode({ ...toJson(message), data: { ok: 1, constructor: 2 } })
  expect(() => codec.decode(packed)).toThrow(expect.objectContaining({ code: 'DECODE_FAILED' }))
})
