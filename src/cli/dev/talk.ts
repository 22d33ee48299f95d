// What `swarmbus dev` and the process that it runs the swarm in say to each other.

/** The variable that makes `swarmbus dev` the process in which the swarm runs. */
export const CHILD = 'SWARMBUS_DEV_CHILD'

/** Why a swarm is ended. */
export type Why = 'restart' | 'interrupt'

/** To the process of the swarm. */
export type ToChild =
  /** The swarm may start: no other one runs any more. */
  | { readonly type: 'go'; readonly isTTY: boolean }
  /** The line that was asked for; without a text there are no more. */
  | { readonly type: 'line'; readonly text?: string }
  | { readonly type: 'stop'; readonly why: Why }

/** From the process of the swarm. */
export type FromChild =
  /** A file was read that looked so. */
  | { readonly type: 'read'; readonly path: string; readonly hash: string }
  /** The files are sound, as far as can be seen without running them; these modules will be imported. */
  | { readonly type: 'sound'; readonly modules: readonly string[] }
  /** The swarm waits for a line. */
  | { readonly type: 'ask' }
