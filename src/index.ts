export { agentTopic } from './message/address.ts'
export type { TopicContract } from './message/contract.ts'
export { createBus } from './bus/bus.ts'
