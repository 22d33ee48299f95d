import type { FailureReason, Outcome } from '../bus/ack.ts'
import type { KeptHost, StartFrom } from '../bus/kept.ts'
import type { ConsumeOptions, MessageLog } from '../log/log.ts'
import type { Envelope, Message } from '../message/message.ts'
import type { Channel } from './channel.ts'
import type { DeadRecord } from './record.ts'

/** What a worker needs of the keeper around it. */
export interface WorkerHost extends KeptHost {
  readonly log: MessageLog
  /** A group of this process is done with a message for good: receipts. */
  settled(
    message: Envelope,
    name: string,
    outcome: Outcome,
    value: unknown,
    reason: FailureReason | undefined,
    error: unknown,
  ): void
  /** A message became a dead letter. */
  buried(channel: Channel, record: DeadRecord, message: Message): void
  /** Where a place told by an ack lies, for one stream. */
  startIn(stream: string, from: StartFrom | undefined): Promise<ConsumeOptions['from'] | undefined>
}
