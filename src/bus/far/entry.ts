import type { AgentStatus } from '../agent-status.ts'

/** Another process of the swarm. */
export interface Process {
  /** 24 hex digits that no other process has. */
  readonly id: string
  /** The name of its bus. */
  readonly name: string
  /** Wall-clock milliseconds of this process at which it was first heard of. */
  readonly knownSince: number
  /** The agents registered there. */
  readonly agents: readonly FarAgent[]
  /** How many subscriptions of it are known. */
  readonly subscriptions: number
}

/** An agent that is registered in another process. */
export interface FarAgent {
  readonly name: string
  readonly type: string | undefined
  readonly capabilities: readonly string[]
  readonly status: AgentStatus
}

/** A subscription of a process as it tells others of it. */
export interface Interest {
  /** Tells the subscriptions of its process apart. */
  readonly key: number
  readonly pattern: string
  readonly group: string | undefined
  readonly session: string | undefined
  readonly sender: string | undefined
  readonly notFrom: string | undefined
  readonly observer: boolean
  /** Gets kept messages out of the log. */
  readonly holds: boolean
}

/** A subscription, or the inbox of an agent, in another process. */
export interface FarEntry extends Interest {
  /** The process. */
  readonly id: string
  /** The agent whose inbox it is. */
  readonly agent: string | undefined
  /** Rises with each announcement: of two agents of one name the newer one counts. */
  readonly order: number
}
