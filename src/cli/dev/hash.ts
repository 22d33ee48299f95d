import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** What tells two contents of a file apart. */
export function hashOf(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('base64')
}

/** The hash of a file as it is now; empty when there is none that can be read. */
export function hashOfFile(path: string): string {
  try {
    return hashOf(readFileSync(path))
  } catch {
    return ''
  }
}
