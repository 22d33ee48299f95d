import { readFileSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { machineMs } from '../kit/env.ts'
import type { ErrorCode, ErrorDetails } from '../kit/errors.ts'
import { describeThrown, isBusError } from '../kit/errors.ts'
import { openSqliteTable, type SqliteTable } from './sqlite-table.ts'

// The thread that works on a file of leases, so that no wait for a disk or for another process holds the event loop.

/** What the thread is started with. */
export interface ThreadData {
  readonly file: string
  readonly busyTimeoutMs: number
}

/** One call. */
export interface Ask {
  readonly id: number
  readonly type: 'open' | 'take' | 'extend' | 'drop' | 'owner' | 'close'
  readonly name: string
  readonly token: number
  readonly ttlMs: number
  /** Machine milliseconds. */
  readonly sentMs: number
}

/** Its answer. */
export type Answer =
  | { readonly id: number; readonly type: 'done'; readonly value: number | boolean | undefined }
  | { readonly id: number; readonly type: 'failed'; readonly error: ThreadError }

/** An error as it crosses the threads; a class would arrive as a plain `Error`. */
export interface ThreadError {
  readonly code: ErrorCode
  readonly message: string
  readonly details: ErrorDetails
  readonly cause: string
}

if (parentPort !== null) serve(parentPort, workerData as ThreadData)

function serve(port: NonNullable<typeof parentPort>, { file, busyTimeoutMs }: ThreadData): void {
  let table: SqliteTable | undefined

  function run({ type, name, token, ttlMs }: Ask): number | boolean | undefined {
    if (type === 'open') {
      table ??= openSqliteTable(file, { nowMs: machineMs, boot: bootId() }, busyTimeoutMs)
      return undefined
    }
    if (table === undefined) throw new Error('the file is not open')
    switch (type) {
      case 'take':
        return table.take(name, ttlMs)
      case 'extend':
        return table.extend(name, token, ttlMs)
      case 'drop':
        return table.drop(name, token)
      case 'owner':
        return table.owner(name)
      case 'close':
        table.close()
        return undefined
      default:
        return type satisfies never
    }
  }

  /** The last call, if the file was busy from its beginning to its end. */
  let busy: { readonly sinceMs: number; readonly error: unknown } | undefined

  function runUnlessBusy(ask: Ask): number | boolean | undefined {
    // Who waited all that time in line has waited as long: a hundred calls must not wait a hundred times.
    if (busy !== undefined && ask.sentMs <= busy.sinceMs && ask.type !== 'close') throw busy.error
    const sinceMs = machineMs()
    busy = undefined
    try {
      return run(ask)
    } catch (error) {
      if (isBusError(error) && error.details.busy === true) busy = { sinceMs, error }
      throw error
    }
  }

  port.on('message', (ask: Ask) => {
    let answer: Answer
    try {
      answer = { id: ask.id, type: 'done', value: runUnlessBusy(ask) }
    } catch (error) {
      answer = { id: ask.id, type: 'failed', error: plain(error) }
    }
    port.postMessage(answer)
  })
}

function plain(error: unknown): ThreadError {
  const known = isBusError(error)
  return {
    code: known ? error.code : 'STORE_FAILED',
    message: known ? error.message : describeThrown(error),
    details: known ? error.details : {},
    cause: describeThrown(known ? error.cause : error),
  }
}

/** Linux names each start of the machine; for others see `openSqliteTable`. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}
