import { expect, test } from 'vitest'
import { fingerprint } from './fingerprint.mjs'

test('the fingerprint changes with the lock file, the platform and the architecture', () => {
  const own = fingerprint('lock', 'linux', 'x64')
  expect(fingerprint('lock', 'linux', 'x64')).toBe(own)
  expect(fingerprint(Buffer.from('lock'), 'linux', 'x64')).toBe(own)
  const others = [
    fingerprint('lock 2', 'linux', 'x64'),
    fingerprint('lock', 'win32', 'x64'),
    fingerprint('lock', 'linux', 'arm64'),
  ]
  expect(new Set([own, ...others]).size).toBe(4)
})
