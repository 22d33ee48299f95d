// The door `swarmbus/observe`: the written record of what happened to the messages of a bus.

export type { EvaluateOptions, Evaluation, JournalFigures } from './evaluate.ts'
export { type Journal, type JournalOptions, type JournalStats, openJournal } from './journal.ts'
export type { Hop } from './query.ts'
export type { Step, StepEvent } from './step.ts'
export type { JournalOverflow } from './writer.ts'
