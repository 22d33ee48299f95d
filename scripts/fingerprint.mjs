import { createHash } from 'node:crypto'

/**
 * Names one installation: it changes when the lock file does, and between platforms that share a checkout.
 * The Node version is left out on purpose: nothing is compiled, and `npm test` (pinned Node) beside `npm start` (a newer
 * Node) would otherwise take node_modules away from each other.
 * @param {string | Uint8Array} lockFile
 * @param {string} platform
 * @param {string} arch
 * @returns {string}
 */
export function fingerprint(lockFile, platform, arch) {
  return createHash('sha256').update(lockFile).update(`\n${platform} ${arch}\n`).digest('hex')
}
