// The door of logs, for those who make one of their own or hand one over.
export {
  type AckLevel,
  type Along,
  type Appended,
  type ConsumeOptions,
  channelOf,
  type Delivery,
  type Entry,
  type Gap,
  type GroupInfo,
  type Item,
  type LogSupports,
  type MessageLog,
  type NackOptions,
  type Offset,
  type ReadOptions,
  type Settled,
  type StreamInfo,
  streamOf,
  type TrimOptions,
} from './log.ts'
export { memoryLog } from './memory.ts'
export { sqliteLog } from './sqlite/sqlite.ts'
