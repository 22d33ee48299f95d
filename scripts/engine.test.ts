import { expect, test } from 'vitest'
import { chooseNode, satisfies } from './engine.mjs'

const range = '^24.16.0 || >=26.1.0'

test.each([
  ['v24.16.0', true],
  ['v24.21.0', true],
  ['v26.1.0', true],
  ['v27.0.0', true],
  ['v24.15.9', false],
  ['v25.9.0', false],
  ['v26.0.9', false],
  ['v20.20.2', false],
  ['v27.0.0-nightly20261101', false],
])('engines: %s fits: %s', (version, fits) => {
  expect(satisfies(version, range)).toBe(fits)
})

test('a range of another form is refused', () => {
  expect(() => satisfies('v24.16.0', '24.x')).toThrow('unsupported engines range: 24.x')
})

test('tests run on the pinned Node even when a newer one is at hand', () => {
  expect(chooseNode({ task: 'test', current: 'v26.10.0', range, pinned: '24.21.0' })).toBe('pinned')
  expect(chooseNode({ task: 'test', current: 'v20.20.2', range, pinned: '24.21.0' })).toBe('pinned')
  expect(chooseNode({ task: 'test', current: 'v24.21.0', range, pinned: '24.21.0' })).toBe('current')
})

test('tests run on a suitable Node where no pinned one exists', () => {
  expect(chooseNode({ task: 'test', current: 'v26.10.0', range, pinned: undefined })).toBe('current')
})

test('other tasks run on a suitable Node, else on the pinned one', () => {
  expect(chooseNode({ task: 'start', current: 'v26.10.0', range, pinned: '24.21.0' })).toBe('current')
  expect(chooseNode({ task: 'start', current: 'v20.20.2', range, pinned: '24.21.0' })).toBe('pinned')
})

test('no task runs on an unsuitable Node where no pinned one exists', () => {
  for (const task of ['test', 'start']) {
    expect(chooseNode({ task, current: 'v20.20.2', range, pinned: undefined })).toBe('none')
  }
})
