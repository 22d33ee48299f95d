/** What a component plays in a swarm: where output goes by itself depends on it, and who may be whose tool. */
export type Role =
  | 'input'
  | 'agent'
  | 'llm'
  | 'output'
  | 'tool'
  | 'memory'
  | 'knowledge-base'
  | 'environment'
  | 'bus'
  | 'deployment'
  | 'vm'
  | 'other'
