import { expect, test } from 'vitest'
import { missingPackages } from './missing.mjs'

const linux = { os: 'linux', cpu: 'x64', libc: 'glibc' }
const none = (): boolean => false

test('a package made for this platform is missed, one for another is not', () => {
  const packages = {
    '': {},
    'node_modules/plain': {},
    'node_modules/a-linux-x64': { os: ['linux'], cpu: ['x64'] },
    'node_modules/a-linux-arm64': { os: ['linux'], cpu: ['arm64'] },
    'node_modules/b-linux': { os: 'linux' },
    'node_modules/a-win-x64': { os: ['win32'], cpu: ['x64'] },
    'node_modules/a-linux-x64-gnu': { os: ['linux'], cpu: ['x64'], libc: ['glibc'] },
    'node_modules/a-linux-x64-musl': { os: ['linux'], cpu: ['x64'], libc: ['musl'] },
    'node_modules/a-wasm': { cpu: ['wasm32'] },
    'node_modules/not-win': { os: ['!win32'] },
    'node_modules/not-linux': { os: ['!linux'] },
  }
  expect(missingPackages(packages, linux, none)).toEqual([
    'node_modules/a-linux-x64',
    'node_modules/b-linux',
    'node_modules/a-linux-x64-gnu',
    'node_modules/not-win',
  ])
  expect(missingPackages(packages, linux, () => true)).toEqual([])
})
