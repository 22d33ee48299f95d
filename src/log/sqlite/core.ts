import type { DatabaseSync } from 'node:sqlite'
import type { Env } from '../../kit/env.ts'
import type { Keys } from './keys.ts'
import type { Paths } from './lock.ts'
import type { Mark } from './mark.ts'
import type { Members } from './members.ts'
import type { ThreadOptions } from './protocol.ts'
import type { Statements } from './statements.ts'
import type { Streams } from './streams.ts'

/** What the parts of the thread share: one connection and what is known of its rows. */
export interface Core {
  readonly env: Env
  readonly options: ThreadOptions
  readonly paths: Paths
  readonly database: DatabaseSync
  readonly statements: Statements
  readonly streams: Streams
  readonly members: Members
  readonly keys: Keys
  readonly mark: Mark
  readonly failpoint: (name: FailpointName) => void
}

/** Where a crash test may kill the process. */
export type FailpointName =
  | 'before-begin'
  | 'after-insert'
  | 'before-commit'
  | 'after-commit'
  | 'before-mark'
  | 'after-mark'
  | 'before-answer'

/** For crash tests: kills the process with SIGKILL when the named point is reached, `name:n` for the n-th time. */
export function failpoints(failAt: string | undefined): (name: FailpointName) => void {
  if (failAt === undefined) return () => undefined
  const [name, times = '1'] = failAt.split(':')
  let left = Number(times)
  return (reached) => {
    if (reached === name && --left === 0) process.kill(process.pid, 'SIGKILL')
  }
}
