/** Something that went wrong beside the messages, for whoever runs the swarm. */
export interface SwarmFault {
  readonly type: 'hook' | 'listener' | 'pipe' | 'route' | 'cycle' | 'emit' | 'component'
  readonly component: string
  readonly event: string | undefined
  /** The session in which a component failed. */
  readonly session?: string
  readonly message: string
  readonly error: unknown
}
