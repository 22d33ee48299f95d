import type { Handler } from './handler.ts'

/** A handler with its room. */
export class Member {
  readonly name: string
  readonly plain: Handler
  /** The handler inside its middleware. */
  handler: Handler
  /** Most at once; 0 for the default: one for each session, and one for all messages without a session. */
  readonly concurrency: number
  readonly timeoutMs: number
  /** The agent that handles; what its handler publishes comes from it. */
  readonly agent: string | undefined
  running = 0
  /** Running messages without a session. */
  loose = 0

  constructor(name: string, handler: Handler, concurrency: number, timeoutMs: number, agent?: string) {
    this.name = name
    this.agent = agent
    this.plain = handler
    this.handler = handler
    this.concurrency = concurrency
    this.timeoutMs = timeoutMs
  }

  hasRoom(inSession: boolean): boolean {
    return this.concurrency === 0 ? inSession || this.loose === 0 : this.running < this.concurrency
  }
}
