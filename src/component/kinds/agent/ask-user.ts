import { BusError } from '../../../kit/errors.ts'
import { IdMaker } from '../../../message/ids.ts'
import type { Component } from '../../component.ts'
import type { MakeContext, ToolDescription } from '../../kind.ts'
import { isRecord } from '../text.ts'

/** An agent asks the person of its session: `{ question, request_id, session_id }`. */
export const ASKED = 'user.input.request'
/** An input has the answer: `{ response, request_id, session_id }`. */
export const ANSWERED = 'user.input.response'

/** The tool that every agent has beside its own. */
export const ASK_USER: ToolDescription = {
  name: 'ask_user',
  summary: 'asks the person a question and waits for the answer; only for what no tool can tell',
  inputs: { type: 'object', properties: { question: { type: 'string' } }, required: ['question'] },
}

/** What a question needs. */
export interface Question {
  readonly question: string
  readonly session: string | undefined
  readonly limitMs: number
  readonly signal: AbortSignal
}

/** Asks the person of a session by events, which the input of that session answers. */
export interface Asker {
  /** Rejects with REQUEST_TIMEOUT when nobody answers in time, and when the signal is aborted. */
  ask(own: Component, question: Question): Promise<string>
  stop(): void
}

/** Makes what waits for answers to questions. */
export function makeAsker({ env, observe }: Pick<MakeContext, 'env' | 'observe'>): Asker {
  const open = new Map<string, { readonly session: string | undefined; resolve(answer: string): void }>()
  const ids = new IdMaker(env)
  const end = observe((payload, info) => {
    if (info.event !== ANSWERED || !isRecord(payload) || typeof payload.request_id !== 'string') return
    const waiting = open.get(payload.request_id)
    // Only who was asked may answer: not a person of another session.
    if (waiting === undefined || waiting.session !== info.session) return
    waiting.resolve(String(payload.response ?? ''))
  })

  return Object.freeze({
    stop: end,
    async ask(own: Component, { question, session, limitMs, signal }: Question): Promise<string> {
      const requestId = ids.next(env.wallMs())
      const { promise, resolve, reject } = Promise.withResolvers<string>()
      const timer = env.after(limitMs, () => {
        reject(new BusError('REQUEST_TIMEOUT', `nobody answered the question within ${limitMs / 1_000} s`))
      })
      const onAbort = (): void => reject(signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      open.set(requestId, { session, resolve })
      try {
        const asked = { question, request_id: requestId, ...(session === undefined ? {} : { session_id: session }) }
        const { stoppedBy } = await own.emit(ASKED, asked, { route: false })
        if (stoppedBy !== undefined) throw new BusError('HANDLER_FAILED', `"${stoppedBy}" stopped the question`)
        return await promise
      } finally {
        promise.catch(() => undefined)
        open.delete(requestId)
        timer.cancel()
        signal.removeEventListener('abort', onAbort)
      }
    },
  })
}
