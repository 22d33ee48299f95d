import type { Env } from '../../kit/env.ts'
import { BusError } from '../../kit/errors.ts'
import type { Message } from '../../message/message.ts'
import type { Consumer, Source } from '../consumer.ts'
import type { Along, Gap, LogEvent } from '../log.ts'
import type { Bodies, Body } from './bodies.ts'
import type { StreamSettings } from './bootstrap.ts'
import type { Group } from './group.ts'
import type { Io } from './io.ts'
import type { Machine } from './machine.ts'
import type { ChannelNames } from './names.ts'
import type { Part } from './part.ts'
import type { FromOp, Op } from './records.ts'
import type { Reserve } from './reserve.ts'
import type { Sender } from './sender.ts'
import type { Slot } from './slot.ts'

/** What the channels of a log share. */
export interface Hall {
  readonly io: Io
  readonly env: Env
  readonly prefix: string
  readonly settings: StreamSettings
  readonly graceMs: number
  /** Room for what must be said where there is none for messages. */
  readonly reserve: Reserve
  readonly onDamage: (gap: Gap) => void
  readonly onEvent: (event: LogEvent) => void
  /** Stores an entry that goes along to another channel. Resolves once it lies there. */
  readonly forward: (stream: string, id: string, body: Body) => Promise<void>
}

/** A consumer of this process, as its channel knows it. */
export interface LocalConsumer extends Source {
  id: string
  readonly part: string
  readonly group: string
  readonly from: FromOp
  readonly consumer: Consumer
  /** The machine has set an entry aside for it. */
  reserved(group: Group, slot: Slot): void
  /** It begins anew: nothing from before holds. */
  restart(id: string): void
  /** Hands out to whoever waits. */
  pump(): void
  /** Somebody else waits: gives back some of what it was not asked for. */
  share(): void
}

/** Gets messages for the consumers of a channel. */
export interface Supplies {
  /** The message of an entry that was set aside will be asked for. */
  prefetch(offset: number): void
  /** What was loaded, once. */
  loaded(offset: number): Body | 'lost' | undefined
  /** `local` looks again once it is there. */
  load(offset: number, local: LocalConsumer | undefined): void
  /** A group has met an entry that cannot be read. */
  damaged(part: Part, offset: number, reason: 'damaged' | 'lost'): void
}

/** A channel, as those see it who work for it. */
export interface Place {
  readonly hall: Hall
  readonly env: Env
  readonly names: ChannelNames
  readonly bodies: Bodies
  readonly sender: Sender
  readonly supply: Supplies
  readonly machine: Machine
  readonly locals: ReadonlyMap<string, LocalConsumer>
  readonly closed: boolean
  readonly storedMs: number
  nowMs(): number
  wallMs(): number
  isFresh(sinceMs: number, withinMs: number): boolean
  reached(seq: number): Promise<void>
  sync(): Promise<void>
  leave(local: LocalConsumer): void
  check(message: Message): void
  settleAlong(
    op: Op & { readonly t: 'settle' | 'settleAt' },
    along: Along,
    own: Uint8Array,
    message: Message | undefined,
  ): Promise<boolean>
}

/** Throws PAYLOAD_TOO_LARGE for what does not fit into a record with its headers. */
export function mustFit({ link }: Io, bytes: number, what: string): void {
  const allowed = (link.connection.info?.max_payload ?? 1_048_576) - 4_096
  if (bytes <= allowed) return
  throw new BusError('PAYLOAD_TOO_LARGE', `"${what}" has ${bytes} bytes as JSON; the server takes ${allowed}`, {
    details: { field: 'bytes', bytes, allowed },
  })
}
