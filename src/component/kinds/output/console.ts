import { describeThrown } from '../../../kit/errors.ts'
import type { Component } from '../../component.ts'
import type { Behaviour, KindDefinition } from '../../kind.ts'
import { defineKind } from '../define.ts'
import { settingsOf } from '../settings.ts'
import { jsonOf, textOf } from '../text.ts'
import { printable } from './printable.ts'

/** `output console`: prints what it gets, one after the other; parts of a stream as they come. */
export const CONSOLE: KindDefinition = defineKind({
  kind: 'output console',
  also: ['output cli', 'output command_line'],
  role: 'output',
  summary: 'prints to the terminal',
  keys: {
    prefix: { type: 'text', default: '', summary: 'stands before each text' },
    show_sender: { type: 'flag', default: false, summary: 'names the component that sent it' },
  },
  make(spec, { terminal }): Behaviour {
    const settings = settingsOf(spec, CONSOLE)
    const prefix = settings.text('prefix') as string
    const showsSender = settings.flag('show_sender')
    let own: Component | undefined
    return {
      streamingInput: true,
      // One at a time: two streams would be mixed on the screen.
      concurrency: 1,
      start(component) {
        own = component
      },
      async handle({ data, from }) {
        const before = `${prefix}${showsSender && from !== undefined ? `${from}: ` : ''}`
        if (typeof data !== 'string' || !data.startsWith('stream:') || own === undefined) {
          terminal.write(`${before}${printable(textOf(data))}\n`)
          return undefined
        }
        terminal.write(before)
        try {
          for await (const chunk of own.readStream(data)) {
            if (chunk.data !== undefined) terminal.write(printable(jsonOf(chunk.data)))
          }
        } catch (error) {
          // The fault is that of the source, which has told it.
          terminal.write(` … ${printable(describeThrown(error))}`)
        }
        terminal.write('\n')
        return undefined
      },
    }
  },
})
