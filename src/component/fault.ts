/** Something that went wrong beside the messages, for whoever runs the swarm. */
export interface SwarmFault {
  readonly type: 'hook' | 'listener' | 'pipe' | 'route' | 'cycle' | 'emit' | 'component'
  readonly component: string
  readonly event: string | undefined
  readonly message: string
  readonly error: unknown
}
