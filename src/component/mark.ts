import { hash } from 'node:crypto'
import { serialize } from 'node:v8'
import type { Work } from './frame.ts'

/** The result of a handling: there is one, whatever it is. */
export const RESULT_MARK = 'result'

/**
 * Names one emit of a handling, and the same one when the handling is done again: by what is emitted, and how often the same was emitted
 * before. Not by its place in the order: emits that race each other come in another order next time, and one would be taken for another.
 * Undefined for what cannot be sent anyway.
 */
export function markOf(event: string, payload: unknown, work: Work): string | undefined {
  let data: Uint8Array
  try {
    data = serialize([event, payload])
  } catch {
    return undefined
  }
  const name = hash('sha1', data, 'base64url')
  work.marks ??= new Map()
  const count = work.marks.get(name) ?? 0
  work.marks.set(name, count + 1)
  return count === 0 ? name : `${name}-${count}`
}
