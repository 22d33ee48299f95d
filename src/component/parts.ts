import type { Context } from '../bus/handler.ts'
import { BusError } from '../kit/errors.ts'
import { type Frame, within } from './frame.ts'

const MOST_PARTS = 100_000

/** True for an async generator, or what can be iterated like one. Never throws. */
export function isParts(value: unknown): value is AsyncIterable<unknown> {
  try {
    return typeof (value as Partial<AsyncIterable<unknown>> | undefined)?.[Symbol.asyncIterator] === 'function'
  } catch {
    // A revoked Proxy throws at every question.
    return false
  }
}

/** True for a promise of any make. Never throws. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  try {
    return typeof (value as Partial<PromiseLike<unknown>> | undefined | null)?.then === 'function'
  } catch {
    return false
  }
}

/** What parts are together: texts and bytes are joined, anything else is a list. */
export function joined(parts: readonly unknown[]): unknown {
  if (parts.length > 0 && parts.every((part) => typeof part === 'string')) return parts.join('')
  if (parts.length > 0 && parts.every((part) => part instanceof Uint8Array)) {
    return new Uint8Array(Buffer.concat(parts as Uint8Array[]))
  }
  return parts
}

/** Takes parts one by one, with the time limit begun anew for each, until they end or the handling is aborted. */
export async function eachPart(
  parts: AsyncIterable<unknown>,
  context: Context,
  take: (part: unknown) => void | Promise<void>,
): Promise<void> {
  const { signal } = context
  let count = 0
  for await (const part of parts) {
    if (signal.aborted) throw signal.reason
    if (++count > MOST_PARTS) throw new BusError('STREAM_FULL', `more than ${MOST_PARTS} parts are not collected`)
    context.extend()
    await take(part)
  }
}

/** All parts together. */
export async function collected(parts: AsyncIterable<unknown>, context: Context): Promise<unknown> {
  const all: unknown[] = []
  await eachPart(parts, context, (part) => void all.push(part))
  return joined(all)
}

/** The same parts; whatever makes them runs in the frame, and `ended` is called once, with true for parts that broke off. */
export function inFrame(
  frame: Frame,
  parts: AsyncIterable<unknown>,
  ended: (hasFailed: boolean) => void,
): AsyncIterableIterator<unknown> {
  const iterator = within(frame, () => parts[Symbol.asyncIterator]())
  let over = false
  const end = (hasFailed: boolean): void => {
    if (over) return
    over = true
    ended(hasFailed)
  }
  return {
    async next() {
      try {
        const step = await within(frame, () => iterator.next())
        if (step.done) end(false)
        return step
      } catch (error) {
        end(true)
        throw error
      }
    },
    async return(value?: unknown) {
      end(false)
      return (await within(frame, () => iterator.return?.(value))) ?? { done: true, value }
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}
