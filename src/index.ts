// The main door, listed by hand: what is not here is not promised.

export type { Ledger } from './bus/account.ts'
export type { Ack, DeliveryReport, Failure, FailureReason, Outcome, Refusal } from './bus/ack.ts'
export type { AgentStatus } from './bus/agent-status.ts'
export type { AgentInfo } from './bus/agents.ts'
export { EVENTS, type EventName } from './bus/announce.ts'
export { type Bus, type BusStreams, createBus, type DrainOptions } from './bus/bus.ts'
export type { Agent, RegisterOptions } from './bus/directory.ts'
export type { FarAgent, Process } from './bus/far/entry.ts'
export type { WireFigures } from './bus/far/side.ts'
export type { Context, Handler, HandlerResult, Middleware, NackOptions, ReplyOptions } from './bus/handler.ts'
export type { BackendHealth, BusHealth } from './bus/health.ts'
export type { HistoryEntry } from './bus/history.ts'
export type { Inbox, ReceiveOptions } from './bus/inbox.ts'
export type { StartFrom } from './bus/kept.ts'
export type {
  AttemptRecord,
  ChannelInfo,
  DeadLetter,
  DeadLetterFilter,
  DeadLetterList,
  DeadLetters,
  DeathReason,
  KeptLedger,
  RedriveAllOptions,
  RedriveOptions,
  Replay,
  Replayed,
  ReplayOptions,
} from './bus/kept-verbs.ts'
export type { DrainReport } from './bus/lifecycle.ts'
export {
  type BusOptions,
  type EffectiveOptions,
  type Overflow,
  PRESETS,
  type Preset,
  type QueueOptions,
} from './bus/options.ts'
export type {
  BroadcastOptions,
  Capable,
  Chunk,
  PayloadMode,
  Publisher,
  PublishOptions,
  ReplyStream,
  RequestManyOptions,
  RequestOptions,
  RequestStreamOptions,
  SendOptions,
  TopicOf,
} from './bus/publisher.ts'
export type { ConcurrencyFigures } from './bus/pump.ts'
export type { HandledByLevel } from './bus/queue-figures.ts'
export type { Session } from './bus/session.ts'
export type { Stall, StallOptions } from './bus/stall.ts'
export type { BusStats, ChannelStats, QueueSnapshot, QueueView, Snapshot } from './bus/stats.ts'
export type { StreamStatus, StreamType, WriteOptions } from './bus/stream.ts'
export type { StreamInfo, StreamOptions, StreamWriter } from './bus/streams.ts'
export type { PatternOf, SubscribeOptions, Subscription, SubscriptionFigures } from './bus/subscription.ts'
export { type Env, systemEnv, type Timer } from './kit/env.ts'
export { BusError, ERRORS, type ErrorCode, type ErrorDetails, type ErrorFamily, isBusError } from './kit/errors.ts'
export type { HistogramFigures } from './kit/histogram.ts'
export type { AckLevel, Gap, MessageLog } from './log/log.ts'
export { AGENT_ROOT, agentOf, agentTopic, BROADCAST_TOPIC } from './message/address.ts'
export { type Codec, type CodecOptions, fromJson, type JsonMessage, jsonCodec, toJson } from './message/codec.ts'
export {
  defineTopic,
  type SchemaIssue,
  type SchemaResult,
  type StandardSchema,
  type TopicContract,
} from './message/contract.ts'
export {
  DELIVERY_MODE_HEADER,
  type DeliveryMode,
  MAX_RETRIES_HEADER,
} from './message/delivery-mode.ts'
export { type Headers, MAX_HEADER_BYTES } from './message/headers.ts'
export { isMessageId, type MessageId, timeOfId } from './message/ids.ts'
export { createReply, type MakeOptions, type MessageMaker, messageMaker } from './message/make.ts'
export { type Message, pathOf } from './message/message.ts'
export { isPriority, PRIORITIES, type Priority, priorityFrom } from './message/priority.ts'
export type { Clocks } from './message/restore.ts'
export { MAX_TOPIC_LENGTH, MAX_TOPIC_TOKENS, matchesTopic, parsePattern, parseTopic } from './message/topic.ts'
export { type BackendChoice, chooseBackend, type OfflineOptions, type TlsOptions } from './node/backends.ts'
export { closeDefaultBus, configureDefaultBus, defaultBus, setDefaultBus } from './node/default-bus.ts'
export { type OpenOptions, openBus } from './node/node.ts'
export type { DeadLetterAlert } from './worker/burials.ts'
export type { ChannelOptions, KeptOverflow, Retention } from './worker/channel.ts'
