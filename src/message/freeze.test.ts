import fc from 'fast-check'
import { expect, test } from 'vitest'
import { copyData, freezeAndLook, freezeData, MAX_DEPTH } from './freeze.ts'

/** Every object reachable by own enumerable values. */
function* objectsIn(value: unknown): IterableIterator<object> {
  if (typeof value !== 'object' || value === null) return
  yield value
  for (const inner of Object.values(value)) yield* objectsIn(inner)
}

function nested(levels: number): unknown {
  let data: unknown = 1
  for (let level = 0; level < levels; level++) data = level % 2 === 0 ? [data] : { data }
  return data
}

test('everything in plain data is frozen, however it is nested', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), (data) => {
      const before = JSON.stringify(data)
      const found = freezeAndLook(data)
      for (const one of objectsIn(data)) expect(Object.isFrozen(one)).toBe(true)
      expect(JSON.stringify(data)).toBe(before)
      expect(found.loose).toBe(false)
    }),
  )
})

test('the measure is the size as JSON: texts and structure to the character, other values as 8', () => {
  const size = (data: unknown): number => {
    return freezeData(data)
  }
  expect(size('abc')).toBe(3)
  expect(size(5)).toBe(8)
  expect(size({ name: 'x'.repeat(1_000) })).toBeGreaterThanOrEqual(1_009)
  expect(size({ name: 'x'.repeat(1_000) })).toBeLessThan(1_030)
  expect(size(new Uint8Array(5_000))).toBeGreaterThanOrEqual(5_000)
  expect(size(new Uint8Array(5_000))).toBeLessThan(5_010)
  expect(size([new Map([['key', 'x'.repeat(100)]])])).toBeGreaterThanOrEqual(103)
  expect(size(new Set(['x'.repeat(100)]))).toBeLessThan(120)
})

test('frozen data with children that are not is frozen below, too', () => {
  const data = Object.freeze({ inner: { list: [1] } })
  freezeData(data)
  expect([Object.isFrozen(data.inner), Object.isFrozen(data.inner.list)]).toEqual([true, true])
})

test('class instances are frozen with their fields, and keep their class', () => {
  class Task {
    title = 'a'
    inner = { done: false }
  }
  const task = new Task()
  freezeData({ task })
  expect([Object.isFrozen(task), Object.isFrozen(task.inner), task instanceof Task]).toEqual([true, true, true])
})

test.each([
  ['a typed array', new Float32Array(2)],
  ['bytes', new Uint8Array(2)],
  ['a DataView', new DataView(new ArrayBuffer(2))],
  ['an ArrayBuffer', new ArrayBuffer(2)],
  ['a SharedArrayBuffer', new SharedArrayBuffer(2)],
  ['a Map', new Map([[{ key: 1 }, { value: 1 }]])],
  ['a Set', new Set([{ value: 1 }])],
  ['a Date', new Date(0)],
])('%s is noted as loose, at any place', (_name, value) => {
  expect(freezeAndLook({ a: [value] }).loose).toBe(true)
  expect(freezeAndLook({ a: 1 }).loose).toBe(false)
})

test('keys and values of a Map and members of a Set are frozen', () => {
  const [key, value, member] = [{ a: 1 }, { b: 1 }, { c: 1 }]
  freezeAndLook([new Map([[key, value]]), new Set([member])])
  expect([key, value, member].map((one) => Object.isFrozen(one))).toEqual([true, true, true])
})

test('64 levels are taken, a 65th is not', () => {
  expect(() => freezeData(nested(MAX_DEPTH))).not.toThrow()
  expect(() => freezeData(nested(MAX_DEPTH + 1))).toThrow(expect.objectContaining({ code: 'PAYLOAD_TOO_LARGE' }))
})

test('a cycle is refused, through objects, lists, maps and instances', () => {
  const loop: Record<string, unknown> = {}
  loop.loop = loop
  const list: unknown[] = []
  list.push(list)
  const map = new Map<string, unknown>()
  map.set('map', map)
  class Node {
    next: Node = this
  }
  for (const data of [loop, list, map, new Node()]) {
    expect(() => freezeData(data)).toThrow(expect.objectContaining({ code: 'PAYLOAD_TOO_LARGE' }))
  }
})

test('10 000 levels are refused without exhausting the stack', () => {
  expect(() => freezeData(nested(10_000))).toThrow(expect.objectContaining({ code: 'PAYLOAD_TOO_LARGE' }))
})

test('shared parts count each time, and a bound stops the walk before it takes for ever', () => {
  let data: object = {}
  for (let level = 0; level < 60; level++) data = { left: data, right: data }
  const startedMs = performance.now()
  expect(() => freezeData(data, 1_000_000)).toThrow(
    expect.objectContaining({ code: 'PAYLOAD_TOO_LARGE', details: expect.objectContaining({ allowed: 1_000_000 }) }),
  )
  expect(performance.now() - startedMs).toBeLessThan(2_000)
})

test('accessors of an instance are not called', () => {
  let calls = 0
  class Lazy {}
  const data = Object.defineProperty(new Lazy(), 'value', { get: () => calls++, enumerable: true })
  freezeData(data)
  expect(calls).toBe(0)
})

test('what refuses to be looked at is refused, with the cause', () => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  const stubborn = new Proxy({}, { preventExtensions: () => false })
  for (const data of [proxy, { proxy }, [stubborn]]) {
    expect(() => freezeData(data)).toThrow(
      expect.objectContaining({ code: 'INVALID_PAYLOAD', cause: expect.any(TypeError) }),
    )
  }
})

test('a copy shares nothing; what cannot be copied is refused', () => {
  const data = { list: [1], when: new Date(5), map: new Map([['a', 1]]) }
  const copy = copyData(data)
  copy.list.push(2)
  copy.map.set('b', 2)
  copy.when.setTime(9)
  expect([data.list, [...data.map], data.when.getTime()]).toEqual([[1], [['a', 1]], 5])
  expect(copyData('text')).toBe('text')
  expect(() => copyData({ run: () => 0 })).toThrow(expect.objectContaining({ code: 'INVALID_PAYLOAD' }))
})
