import type { Envelope } from '../message/message.ts'
import type { Queue } from './queue.ts'

// Sessions of kept messages: while one of them waits for another try, nothing else of its session goes.

/** Nothing of the session goes until {@link tryAgain} or {@link releaseSession}. */
export function holdSession(queue: Queue, session: string): void {
  queue.backlog.hold(session)
}

export function releaseSession(queue: Queue, session: string): void {
  queue.backlog.release(session)
  queue.host.schedule(queue)
}

/** The message for which its session was held goes next. */
export function tryAgain(queue: Queue, message: Envelope): void {
  queue.backlog.again(message)
  queue.host.schedule(queue)
}

/** Messages of one lane that wait behind their sessions. */
export function parkedIn(queue: Queue, lane: number): number {
  return queue.backlog.parkedIn(lane)
}
