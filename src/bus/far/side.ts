import type { BusError } from '../../kit/errors.ts'
import type { Envelope } from '../../message/message.ts'
import type { Refusal } from '../ack.ts'
import type { Delivery } from '../delivery.ts'
import type { FarVoice } from '../kept.ts'
import type { Receipt } from '../receipt.ts'
import type { Entry, Route } from '../router.ts'
import type { FarAgent, Process } from './entry.ts'

// What the bus knows of the other processes; `far.ts` is the one that does it. Undefined parts of a bus without a wire cost nothing.

/** Who gets one message, here and elsewhere. */
export interface Plan {
  /** The recipients in this process. */
  readonly entries: readonly Entry[]
  readonly load: Load
  /** True when somebody elsewhere could answer. */
  readonly responder: boolean
}

/** What a message carries to other processes besides itself. */
export interface Load {
  /** The processes that get it. */
  readonly targets: ReadonlySet<string>
  /** The process that was chosen for each group. */
  readonly groups: ReadonlyMap<string, string>
  /** Agents it goes to, each with its process. */
  readonly names: ReadonlyMap<string, string>
  /** For a broadcast: the agents that do not get it. */
  readonly everyone: ReadonlySet<string> | undefined
  /** Whoever reads the log gets it from there. */
  readonly kept: boolean
}

/** What became of a message at the wire. */
export interface Carried {
  /** Processes it was sent to. */
  readonly sent: number
  /** Why it could not be sent. */
  readonly refusal: Refusal | undefined
}

/** How the answer of a request is taken. */
export type AskKind = 'one' | 'many' | 'stream'

/** Where the parts of a streamed answer go. */
export interface Poured {
  readonly kind: AskKind
  /** Resolves when there is room for more. */
  pour(part: unknown): Promise<void>
  complete(): void
}

/** An open request, as the other processes see it. */
export interface FarPending extends Poured {
  readonly message: Envelope
  readonly frame: Delivery | undefined
  readonly over: boolean
  /** What went to other processes; undefined while nothing did. */
  far: FarAsked | undefined
  /** A process has handled it without an answer so far. */
  settled(name: string, outcome: 'handled', value: undefined, reason: undefined, error: undefined): void
  /** A process cannot answer it. */
  refused(error: Error): void
  /** A process that might still have answered is gone. */
  lost(error: Error): void
  fail(error: BusError): void
}

/** The part of an open request that waits for other processes. */
export interface FarAsked {
  /** The request is over; with a reason it was given up. */
  closed(reason: BusError | undefined): void
}

/** Figures of what goes between processes. */
export interface WireFigures {
  readonly wire: string
  /** The id of this process. */
  readonly id: string
  /** False while the connection is lost. */
  readonly connected: boolean
  /** Other processes that are known. */
  readonly processes: number
  readonly framesIn: number
  readonly framesOut: number
  /** Frames that could not be read, or for which the wire had no room. */
  readonly framesDropped: number
  /** Requests of other processes that are in hand here. */
  readonly asks: number
}

/** The other processes, as the bus uses them. */
export interface FarSide {
  readonly id: string
  readonly voice: FarVoice
  /** Resolves when those who were there before are known. */
  readonly ready: Promise<void>
  readonly isReady: boolean
  /** Who gets a message of the route; `kept`: only those who do not read the log. */
  plan(route: Route, message: Envelope, kept: boolean): Plan
  /** As `plan`, and the agents of the names that live elsewhere; `everyone`: all of them but these. */
  planSend(route: Route, message: Envelope, names: readonly string[], everyone: ReadonlySet<string> | undefined): Plan
  /** Sends a message to other processes. Never throws. */
  carry(load: Load, message: Envelope, ask: FarPending | undefined, receipt: Receipt | undefined): Carried
  /** Sends an answer to the process whose reply topic it has; false when it is no such topic, or the process is unknown. */
  answer(message: Envelope): boolean
  /** What takes the parts of a streamed answer to another process. */
  askOf(message: Envelope): Poured | undefined
  /** The answer to a request of another process cannot be sent: tells it. False when no process asked. */
  unanswerable(message: Envelope, error: unknown): boolean
  agent(name: string): FarAgent | undefined
  /** Agents of other processes. */
  agents(): Iterable<FarAgent>
  processes(): readonly Process[]
  agentChanged(name: string): void
  /** Reads a stream that another process holds. */
  read(stream: string, from: number): AsyncIterableIterator<unknown>
  /** The bus takes messages. */
  wake(): void
  /** The bus takes none: others shall send it nothing. */
  rest(): void
  close(): void
  figures(): WireFigures
}
