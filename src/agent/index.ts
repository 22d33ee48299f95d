// Who is there, and what they share: `import … from 'swarmbus/agent'`. Listed by hand: what is not here is not promised.

export {
  type Blackboard,
  type BlackboardOptions,
  type BlackboardStats,
  type BoardWriteOptions,
  openBlackboard,
} from './blackboard.ts'
export type { BoardChange, BoardEntry } from './board-fold.ts'
export type { BoardHandler, ChangesOptions } from './board-watch.ts'
