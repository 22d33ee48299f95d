// One readable line for each event: aligned, cut to the width of the terminal, in colour only where somebody looks.

import { styleText } from 'node:util'
import type { Priority } from 'swarmbus'
import type { Event } from './observer.ts'

type Style = Parameters<typeof styleText>[0]

/** How to print. */
export interface Look {
  /** Columns of the terminal. */
  readonly width: number
  readonly colours: boolean
}

const STYLES: Readonly<Record<Priority, Style>> = {
  critical: ['bold', 'red'],
  high: 'yellow',
  normal: 'reset',
  low: 'cyan',
  background: 'dim',
}
/** time, priority, route, ids, waited; the text gets what is left. */
const TIME = 7
const LEVEL = 10
const ROUTE = 25
const IDS = 11
const WAITED = 8
const LEAST_TEXT = 16

/** What a stream shows: its columns (100 where there is no terminal), and colours on a terminal unless NO_COLOR is set. */
export function lookOf(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): Look {
  const colours = stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb'
  return { width: Math.max(60, stream.columns ?? 100), colours }
}

/** Text in a style, where colours are wanted. */
export function paint(look: Look, style: Style, text: string): string {
  return look.colours ? styleText(style, text, { validateStream: false }) : text
}

/** The head of the table. */
export function headLine(look: Look): string {
  const text = line(look, 'time', 'priority', 'from → to', 'message', '#id←#cause', 'waited')
  return paint(look, 'underline', text)
}

/** One event as one line, without its line break. */
export function eventLine(event: Event, look: Look): string {
  switch (event.type) {
    case 'message':
    case 'answer': {
      const { atMs, priority, from, to, short, cause, waitedMs } = event
      const ids = `#${short}${cause === undefined ? '' : `←#${cause}`}`
      const text = event.type === 'answer' ? `↩ ${event.text}` : event.text
      return paint(
        look,
        STYLES[priority],
        line(look, clock(atMs), priority, `${from} → ${to}`, text, ids, duration(waitedMs)),
      )
    }
    case 'lost': {
      const text = `${event.outcome}: ${event.reason}`
      return paint(
        look,
        'magenta',
        line(look, clock(event.atMs), event.priority, `✗ ${event.name}`, text, `#${event.short}`, ''),
      )
    }
    case 'refused':
      return paint(look, 'magenta', `${event.where}: ${event.reason}`)
    case 'note':
      return paint(look, 'dim', event.text)
    default:
      return event satisfies never
  }
}

/** Milliseconds for people: `0.42 ms`, `38 ms`, `1.2 s`, `12 min`, `3 h`. */
export function duration(ms: number): string {
  if (ms < 0.995) return `${ms.toFixed(2)} ms`
  if (ms < 9.95) return `${ms.toFixed(1)} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 600_000) return `${(ms / 1_000).toFixed(1)} s`
  return ms < 36_000_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`
}

function clock(ms: number): string {
  return (ms / 1_000).toFixed(3)
}

function line(
  look: Look,
  time: string,
  level: string,
  route: string,
  text: string,
  ids: string,
  waited: string,
): string {
  const fixed = TIME + LEVEL + ROUTE + IDS + WAITED + 5
  const room = look.width - fixed
  // On a narrow terminal the message keeps some room, and the ids and the waiting go.
  const tail = room < LEAST_TEXT ? '' : ` ${ids.padEnd(IDS)} ${waited.padStart(WAITED)}`
  const textRoom = Math.max(LEAST_TEXT, room < LEAST_TEXT ? look.width - (TIME + LEVEL + ROUTE + 3) : room)
  return `${time.padStart(TIME)} ${level.padEnd(LEVEL)} ${cutTo(route, ROUTE)} ${cutTo(text, textRoom)}${tail}`.trimEnd()
}

const segments = new Intl.Segmenter(undefined, { granularity: 'grapheme' })
const WIDE =
  /^(?:\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}])/u

/** Text cut or filled to exactly so many columns; wide characters take two. */
export function cutTo(text: string, columns: number): string {
  let used = 0
  let kept = ''
  // A character is at most a few code units; nothing beyond this can be shown.
  for (const { segment } of segments.segment(text.slice(0, columns * 16))) {
    const width = WIDE.test(segment) ? 2 : 1
    if (used + width > columns) return `${cutLast(kept, used, columns)}…`
    kept += segment
    used += width
  }
  return kept + ' '.repeat(columns - used)
}

/** Makes room for one more column at the end. */
function cutLast(kept: string, used: number, columns: number): string {
  if (used < columns) return kept + ' '.repeat(columns - used - 1)
  const last = [...segments.segment(kept)].at(-1)?.segment ?? ''
  return kept.slice(0, kept.length - last.length) + ' '.repeat(WIDE.test(last) ? 1 : 0)
}
