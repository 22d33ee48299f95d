/** What an agent says of itself. */
export type AgentStatus = 'idle' | 'busy' | 'error' | 'offline' | 'initializing'

/** All of them, for checks. */
export const STATUSES: readonly AgentStatus[] = ['idle', 'busy', 'error', 'offline', 'initializing']
