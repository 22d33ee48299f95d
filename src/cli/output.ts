import { styleText } from 'node:util'
import { type Fault, stackOf } from './faults.ts'
import type { CliIo } from './io.ts'
import { cut, oneLine, pad, widthOf } from './text.ts'

/** How a text may look on a terminal. */
export type Look = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

/** One column of a table. */
export interface Column {
  readonly title: string
  /** Numbers stand at the right. */
  readonly side?: 'left' | 'right'
  /** The column that gives way when the terminal is too narrow. */
  readonly gives?: boolean
  readonly look?: Look
}

/** What a command writes; every method but `look` waits for room. */
export interface Output {
  readonly json: boolean
  /** Columns of the terminal on standard output; undefined where there is none, and nothing is cut. */
  readonly columns: number | undefined
  /** From now on everything that is written goes through it: secrets are shown to nobody. */
  hide(mask: (text: string) => string): void
  /** With --json, the whole answer. */
  document(value: unknown): Promise<void>
  /** One line for people, or with --json one object. */
  entry(value: unknown, text: () => string): Promise<void>
  /** A line for people; nothing with --json. */
  text(line?: string): Promise<void>
  table(columns: readonly Column[], rows: readonly (readonly string[])[]): Promise<void>
  /** A remark on standard error, for people alone. */
  note(text: string): Promise<void>
  /** A line on standard error that says how a long command goes on, also where there is no terminal; nothing with --json. */
  status(text: string): Promise<void>
  /** Something that is wrong and does not end the command, on standard error; an object with --json. */
  warn(text: string, details: object): Promise<void>
  /** How far long work has come: one line on standard error that is written over, on a terminal only. */
  progress(text: string): void
  /** The text in colour, where there is colour. */
  look(look: Look, text: string): string
  fault(fault: Fault, thrown: unknown, debug: boolean): Promise<void>
}

/** Milliseconds between two pictures of a progress. */
const PICTURE_MS = 100
const GAP = '  '
/** With less room than this, the column that gives way stands on a line of its own below each row. */
const LEAST_ROOM = 30

/** What the commands write with. Colour only on a terminal, and not with NO_COLOR or TERM=dumb. */
export function outputOf(io: CliIo, json: boolean): Output {
  const { stdout, stderr, env, clock } = io
  const plain = (env.NO_COLOR ?? '') !== '' || env.TERM === 'dumb'
  const paint = (look: Look, text: string, isTTY: boolean): string =>
    isTTY && !plain ? styleText(look, text, { validateStream: false }) : text
  const look = (name: Look, text: string): string => (json ? text : paint(name, text, stdout.isTTY))
  let masked = (text: string): string => text
  let drawn = false
  let drawnAtMs = Number.NEGATIVE_INFINITY

  /** Takes the progress away before anything else is written. */
  async function erase(): Promise<void> {
    if (!drawn) return
    drawn = false
    drawnAtMs = Number.NEGATIVE_INFINITY
    await stderr.write('\r\x1b[K')
  }
  async function line(text: string): Promise<void> {
    if (drawn) await erase()
    await stdout.write(`${masked(text)}\n`)
  }
  async function errorLine(text: string): Promise<void> {
    await erase()
    await stderr.write(`${masked(text)}\n`)
  }

  return {
    json,
    columns: stdout.columns(),
    hide: (mask) => {
      masked = mask
    },
    look,
    document: (value) => line(JSON.stringify(value, undefined, 2)),
    entry: (value, text) => line(json ? JSON.stringify(value) : text()),
    text: async (text = '') => {
      if (!json) await line(text)
    },
    async table(columns, rows) {
      if (json) return
      for (const text of tableLines(columns, rows, stdout.columns(), look)) await line(text)
    },
    async note(text) {
      if (json || !stderr.isTTY) return
      await errorLine(paint('dim', text, true))
    },
    async status(text) {
      if (!json) await errorLine(paint('dim', oneLine(text), stderr.isTTY))
    },
    async warn(text, details) {
      if (json) await errorLine(JSON.stringify({ warning: { message: text, ...details } }))
      else await errorLine(`${paint('yellow', 'warning:', stderr.isTTY)} ${oneLine(text)}`)
    },
    progress(text) {
      if (json || !stderr.isTTY) return
      const nowMs = clock.monotonicMs()
      if (nowMs - drawnAtMs < PICTURE_MS) return
      drawnAtMs = nowMs
      drawn = true
      void stderr.write(`\r${paint('dim', cut(text, (stderr.columns() ?? 80) - 1), true)}\x1b[K`)
    },
    async fault(fault, thrown, debug) {
      const { message, next } = fault
      if (json) {
        const stack = debug ? { stack: stackOf(thrown) } : {}
        await errorLine(JSON.stringify({ error: { ...fault, ...stack } }))
        return
      }
      await errorLine(`${paint('red', 'swarmbus:', stderr.isTTY)} ${oneLine(message)}`)
      await errorLine(`${paint('dim', 'next:', stderr.isTTY)} ${oneLine(next)}`)
      if (debug) await errorLine(stackOf(thrown))
    },
  }
}

/** The lines of a table whose columns stand below each other; cells are made safe for a terminal, and fit its width where one column gives way. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number | undefined,
  look: (look: Look, text: string) => string,
): readonly string[] {
  const cells = rows.map((row) => row.map(oneLine))
  const widths = columns.map(({ title }, index) =>
    Math.max(widthOf(title), ...cells.map((row) => widthOf(row[index] ?? ''))),
  )
  const giving = columns.findIndex(({ gives }) => gives)
  let below = false
  if (width !== undefined && giving >= 0) {
    const natural = widths[giving] ?? 0
    const room = width - widths.reduce((sum, one) => sum + one, GAP.length * (columns.length - 1)) + natural
    below = giving === columns.length - 1 && room < Math.min(natural, LEAST_ROOM)
    widths[giving] = Math.min(natural, Math.max(room, LEAST_ROOM))
  }
  const shown = below ? columns.slice(0, -1) : columns
  const lineOf = (row: readonly string[], paint: (column: Column, text: string) => string): string =>
    shown
      .map((column, index) => {
        const text = cut(row[index] ?? '', widths[index] ?? 0)
        const isLast = index === shown.length - 1 && column.side !== 'right'
        return paint(column, isLast ? text : pad(text, widths[index] ?? 0, column.side === 'right' ? 'left' : 'right'))
      })
      .join(GAP)
      .trimEnd()
  const head = lineOf(
    columns.map(({ title }) => title),
    (_column, text) => look('bold', text),
  )
  const paint = ({ look: own }: Column, text: string): string => (own === undefined ? text : look(own, text))
  return [
    head,
    ...cells.flatMap((row) => {
      const line = lineOf(row, paint)
      return below ? [line, `    ${cut(row.at(-1) ?? '', (width ?? 0) - 4)}`] : [line]
    }),
  ]
}
