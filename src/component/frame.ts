import { AsyncLocalStorage } from 'node:async_hooks'
import type { Bus } from '../bus/bus.ts'
import type { Context } from '../bus/handler.ts'
import type { Publisher } from '../bus/publisher.ts'
import { behalf } from '../kit/behalf.ts'
import type { Message } from '../message/message.ts'
import type { Measures } from './performance.ts'

/** What a component works on, as everything sees it that runs on its behalf: also behind an `await`, in a timer, in a hook. */
export interface Frame {
  readonly bus: Bus
  readonly component: string
  readonly kind: string
  readonly session: string | undefined
  /** The message in hand; undefined for what was not caused by one. */
  readonly message: Message | undefined
  readonly context: Context | undefined
  /** How many emits led to this one without a message in between: a hook that emits what it hooks must end somewhere. */
  readonly depth: number
  /** The handling that it belongs to; undefined for what was not caused by a message. */
  readonly work: Work | undefined
}

/** One handling, as everything that runs on its behalf shares it. */
export interface Work {
  /** What it counts besides its time. */
  measures: Measures[] | undefined
  /** How often it has emitted the same, by what names it: see `mark.ts`. */
  marks: Map<string, number> | undefined
  /** Its books are closed. */
  isOver: boolean
}

/** Who is at work here. */
export interface Attribution {
  readonly component: string
  readonly kind: string
  readonly session: string | undefined
}

const frames = new AsyncLocalStorage<Frame>()
behalf.leave = (run) => frames.exit(run)

/** Calls `run` on behalf of a component. */
export function within<T>(frame: Frame, run: () => T): T {
  return frames.run(frame, run)
}

/** Calls `run` on nobody's behalf: for what goes on when the message in hand is long over. */
export function onNobodysBehalf<T>(run: () => T): T {
  return frames.exit(run)
}

/** The frame at this place, if it belongs to the bus. */
export function frameOf(bus: Bus): Frame | undefined {
  const frame = frames.getStore()
  return frame?.bus === bus ? frame : undefined
}

/** The component on whose behalf this code runs, wherever it was called from. */
export function currentComponent(): Attribution | undefined {
  const frame = frames.getStore()
  if (frame === undefined) return undefined
  const { component, kind, session } = frame
  return { component, kind, session }
}

/** The verbs at this place: those of the message in hand, so that what is sent follows from it, else those of the bus. */
export function verbsAt(bus: Bus, frame: Frame | undefined): Publisher {
  return frame?.context === undefined ? bus : frame.context.bus
}
