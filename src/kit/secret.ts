import { randomBytes } from 'node:crypto'

// A file of its own: a bus needs no secrets, and should not wait for what makes them when it is imported.

/** 128 random bits as 32 hex digits, from the system's source for secrets: for what gives access to whoever knows it. */
export function unguessable(): string {
  return randomBytes(16).toString('hex')
}
