/** Every role: see {@link Role}. */
export const ROLES = [
  'input',
  'agent',
  'llm',
  'output',
  'tool',
  'memory',
  'knowledge-base',
  'environment',
  'bus',
  'deployment',
  'vm',
  'other',
] as const

/** What a component plays in a swarm: where output goes by itself depends on it, and who may be whose tool. */
export type Role = (typeof ROLES)[number]
