import { parseTopic } from './topic.ts'

/** Topics of agents start with this token: agent `pink` has the inbox `agent.pink`. */
export const AGENT_ROOT = 'agent'
/** Broadcasts to every agent travel on this topic. */
export const BROADCAST_TOPIC = 'agents.all'
/** Answers to requests travel on topics that start with this token. */
export const INBOX_ROOT = '_inbox'
/** What the bus itself announces as messages travels on topics that start with this token. */
export const SYSTEM_ROOT = '_bus'

/** The topic of an agent's inbox. Throws INVALID_TOPIC for a name that is no valid topic part. */
export function agentTopic(name: string): string {
  const topic = `${AGENT_ROOT}.${name}`
  parseTopic(typeof name === 'string' ? topic : (name as string))
  return topic
}

/** The name of the agent whose inbox the topic is, or undefined. */
export function agentOf(topic: string): string | undefined {
  return topic.startsWith(`${AGENT_ROOT}.`) ? topic.slice(AGENT_ROOT.length + 1) : undefined
}
