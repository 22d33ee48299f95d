import type { KeptHost, StartFrom } from '../bus/kept.ts'
import type { ConsumeOptions, MessageLog } from '../log/log.ts'
import type { Envelope, Message } from '../message/message.ts'
import type { Channel } from './channel.ts'
import type { Done } from './receipts.ts'
import type { DeadRecord, Story } from './record.ts'

/** What a worker needs of the keeper around it. */
export interface WorkerHost extends KeptHost {
  readonly log: MessageLog
  /** A group is done with a message for good, in a queue of this process: receipts, here and elsewhere. */
  settled(message: Envelope, group: string, story: Story, done: Done): void
  /** A message became a dead letter. */
  buried(channel: Channel, record: DeadRecord, message: Message): void
  /** Where a place told by an ack lies, for one stream. */
  startIn(stream: string, from: StartFrom | undefined): Promise<ConsumeOptions['from'] | undefined>
}
