import { readFile } from 'node:fs/promises'
import { extname, resolve } from 'node:path'
import { isRecord } from '../text.ts'

/** One answer of a script. */
export interface ScriptedAnswer {
  /** It is given whenever the last turn has this text in it, as often as that happens. Without: once, in its turn. */
  readonly when?: string
  readonly text: string
  readonly thought?: string
  readonly calls: readonly { readonly tool: string; readonly inputs: Readonly<Record<string, unknown>> }[]
  /** The model fails with this text. */
  readonly error?: string
}

/**
 * Reads answers: a text, or an object of `text`, `thought`, `when`, `error`, and a call as `tool` with `inputs`, or several as `calls`.
 * Throws an Error that names the place.
 */
export function readAnswers(list: readonly unknown[]): readonly ScriptedAnswer[] {
  return list.map((one, index) => readAnswer(one, `answer ${index + 1}`))
}

/** The answers of a file: a JSON list, one JSON value a line (`.jsonl`), or one text a line. Empty lines are none. */
export async function answersIn(folder: string, file: string): Promise<readonly ScriptedAnswer[]> {
  const text = await readFile(resolve(folder, file), 'utf8')
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
  const end = extname(file).toLowerCase()
  if (end === '.json') {
    const found: unknown = JSON.parse(text)
    if (!Array.isArray(found)) throw new Error('it must hold a list of answers')
    return readAnswers(found)
  }
  return readAnswers(end === '.jsonl' ? lines.map((line) => JSON.parse(line) as unknown) : lines)
}

const NAMES = new Set(['when', 'text', 'answer', 'thought', 'error', 'tool', 'inputs', 'calls'])

function readAnswer(one: unknown, at: string): ScriptedAnswer {
  if (typeof one === 'string' || typeof one === 'number' || typeof one === 'boolean') {
    return { text: String(one), calls: [] }
  }
  if (!isRecord(one)) throw new Error(`${at} is neither a text nor a block`)
  const unknown = Object.keys(one).find((name) => !NAMES.has(name))
  if (unknown !== undefined) throw new Error(`${at} has "${unknown}"; there are: ${[...NAMES].join(', ')}`)
  const listed = Array.isArray(one.calls) ? one.calls : []
  const calls = (one.tool === undefined ? listed : [one, ...listed]).map((call: unknown) => readCall(call, at))
  return {
    ...optional('when', one.when, at),
    ...optional('thought', one.thought, at),
    ...optional('error', one.error, at),
    text: optional('text', one.text ?? one.answer, at).text ?? '',
    calls,
  }
}

function readCall(call: unknown, at: string): ScriptedAnswer['calls'][number] {
  if (!isRecord(call) || call.tool === undefined) throw new Error(`${at} has a call without "tool"`)
  const inputs = call.inputs ?? {}
  if (!isRecord(inputs)) throw new Error(`${at}: "inputs" must be a block`)
  return { tool: String(call.tool), inputs }
}

function optional<K extends string>(name: K, value: unknown, at: string): { readonly [P in K]?: string } {
  if (value === undefined) return {}
  if (typeof value !== 'string') throw new Error(`${at}: "${name}" must be a text`)
  return { [name]: value } as { readonly [P in K]: string }
}
