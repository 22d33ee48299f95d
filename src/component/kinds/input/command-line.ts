import { describeThrown } from '../../../kit/errors.ts'
import { IdMaker } from '../../../message/ids.ts'
import type { Component } from '../../component.ts'
import type { Behaviour, KindDefinition, MakeContext } from '../../kind.ts'
import { ANSWERED, ASKED } from '../agent/ask-user.ts'
import { defineKind } from '../define.ts'
import { printable } from '../output/printable.ts'
import { settingsOf } from '../settings.ts'
import { isRecord } from '../text.ts'
import { faultOf } from './sessions.ts'

const ENDS = new Set(['exit', ';'])

/** True for a line that ends the run. */
export function isEnd(line: string): boolean {
  return ENDS.has(line.trim().toLowerCase())
}

interface OpenQuestion {
  readonly text: string
  readonly requestId: string
}

/** `input command_line`: every line of the terminal is an input, one after the other; `exit`, `;` or the end of the input ends the run. */
export const COMMAND_LINE: KindDefinition = defineKind({
  kind: 'input command_line',
  also: ['input cli'],
  role: 'input',
  summary: 'reads lines from the terminal; `exit` or `;` ends this input, and the run where no other input goes on',
  keys: {
    prompt: { type: 'text', default: '> ', summary: 'stands before what a person types' },
    session: { type: 'text', summary: 'the session of this terminal; without it a new one for each run' },
  },
  make(spec, context) {
    const settings = settingsOf(spec, COMMAND_LINE)
    const session = settings.text('session') ?? new IdMaker(context.env).next(context.env.wallMs())
    return commandLine(context, session, settings.text('prompt') as string)
  },
})

function commandLine(context: MakeContext, session: string, prompt: string): Behaviour {
  const { terminal } = context
  const stopped = Promise.withResolvers<undefined>()
  const ended = Promise.withResolvers<void>()
  const questions: OpenQuestion[] = []
  let asked = Promise.withResolvers<'question'>()
  let unwatch: (() => void) | undefined
  let lines: AsyncIterator<string> | undefined
  let isStopped = false

  /** The next line; undefined when there is none, or the run ends. */
  async function nextLine(before: string): Promise<string | undefined> {
    if (isStopped) return undefined
    if (terminal.interactive) terminal.write(before)
    const next = await Promise.race([(lines as AsyncIterator<string>).next(), stopped.promise])
    if (next?.done !== true) return next?.value
    // Ctrl-D leaves the cursor behind the prompt.
    if (terminal.interactive && !isStopped) terminal.write('\n')
    return undefined
  }

  function end(): void {
    isStopped = true
    stopped.resolve(undefined)
  }

  /** Waits until everything that follows from a line is done; a question of an agent meanwhile takes the next line as its answer. */
  async function settled(own: Component): Promise<void> {
    const idle = context.idle().then(() => 'idle' as const)
    for (;;) {
      const what = await Promise.race([idle, asked.promise, stopped.promise])
      if (what !== 'question') return
      asked = Promise.withResolvers()
      for (let one = questions.shift(); one !== undefined; one = questions.shift()) {
        terminal.write(`${printable(one.text)}\n`)
        const response = (await nextLine('? ')) ?? 'nobody is there any more'
        await own.emit(
          ANSWERED,
          { response, request_id: one.requestId, session_id: session },
          { session, route: false },
        )
      }
    }
  }

  async function say(own: Component, line: string): Promise<void> {
    try {
      const fault = faultOf(
        await own.emit('input.received', { input: line, inputs: {}, session_id: session }, { session }),
      )
      if (fault !== undefined) terminal.write(`! ${fault}\n`)
    } catch (error) {
      terminal.write(`! ${describeThrown(error)}\n`)
    }
    await settled(own)
  }

  async function read(own: Component): Promise<void> {
    for (;;) {
      const line = await nextLine(prompt)
      if (line === undefined || isEnd(line)) break
      if (line.trim() !== '') await say(own, line)
    }
    await Promise.race([context.idle(), stopped.promise])
  }

  return {
    routes: ['input.received'],
    ended: ended.promise,
    start(own) {
      unwatch = context.observe((payload, info) => {
        if (info.event !== ASKED || info.session !== session || !isRecord(payload)) return
        questions.push({ text: String(payload.question), requestId: String(payload.request_id) })
        asked.resolve('question')
      })
      lines = terminal.lines()[Symbol.asyncIterator]()
      read(own).then(ended.resolve, ended.reject)
      // Whoever runs the swarm may not look at it.
      ended.promise.catch(() => undefined)
    },
    pause: end,
    stop() {
      end()
      ended.resolve()
      unwatch?.()
      // Not awaited: an iterator that waits for a line would come back only with that line.
      lines?.return?.()?.catch(() => undefined)
    },
  }
}
