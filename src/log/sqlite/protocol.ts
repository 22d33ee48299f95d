import type { ErrorCode } from '../../kit/errors.ts'
import type { GroupOp, LeaveOp, StoredState, TrimOp } from '../store.ts'
import type { Report } from './report.ts'

// What the store and its thread say to each other. Everything here is cloned on its way.

/** What the thread is started with. */
export interface ThreadOptions {
  readonly file: string
  readonly synchronous: 'FULL' | 'NORMAL'
  readonly acceptLoss: boolean
  readonly dedupMs: number
  readonly dedupLimit: number
  readonly reserveBytes: number
  /** For tests: the process kills itself at this point, `name` or `name:n` for the n-th time. */
  readonly failAt: string | undefined
}

/** An append of a message that is stored already: its bytes are copied. */
export interface CopyRecord {
  readonly type: 'copy'
  readonly stream: string
  readonly source: { readonly stream: string; readonly offset: number }
  readonly key: string | undefined
  readonly storedAt: number
  readonly dueAt: number | undefined
  readonly note: string | undefined
}

/** One step of a commit: the next `count` records of the buffer, or a small operation. */
export type Step = { readonly type: 'records'; readonly count: number } | CopyRecord | GroupOp | LeaveOp | TrimOp

/** Where something was stored. */
export interface Place {
  readonly stream: string
  readonly offset: number
  readonly id: string
  readonly duplicate: boolean
  readonly bytes: number
}

/** What the thread is asked. */
export type Question =
  | { readonly type: 'load' }
  | {
      readonly type: 'commit'
      readonly buffer: ArrayBuffer
      readonly streams: readonly string[]
      readonly steps: readonly Step[]
    }
  | { readonly type: 'page'; readonly stream: string; readonly from: number; readonly most: number }
  | {
      readonly type: 'expired'
      readonly stream: string
      readonly from: number
      readonly wallMs: number
      readonly most: number
    }
  | { readonly type: 'since'; readonly stream: string; readonly wallMs: number }
  | { readonly type: 'newest'; readonly stream: string; readonly bytes: number }
  | { readonly type: 'bytes'; readonly stream: string }
  | { readonly type: 'find'; readonly channel: string; readonly key: string; readonly wallMs: number }
  | { readonly type: 'inspect' }
  | { readonly type: 'close' }

/** What it answers, by the type of the question. */
export interface Answers {
  readonly load: StoredState
  /** The buffer comes back with offsets in its records; `repeats` and `copies` are in the order of the steps. */
  readonly commit: {
    readonly buffer: ArrayBuffer
    readonly repeats: readonly Place[]
    readonly copies: readonly Place[]
  }
  readonly page: { readonly buffer: ArrayBuffer; readonly count: number }
  readonly expired: readonly number[]
  readonly since: number
  readonly newest: number
  readonly bytes: number
  readonly find: { readonly stream: string; readonly offset: number } | undefined
  readonly inspect: Report
  readonly close: undefined
}

/** An error on its way out of the thread. */
export interface Fault {
  readonly code: ErrorCode
  readonly message: string
  readonly details: Readonly<Record<string, unknown>>
  readonly cause:
    | { readonly name: string; readonly message: string; readonly code: unknown; readonly errcode: unknown }
    | undefined
}

/** A question on its way. */
export interface Asked {
  readonly id: number
  readonly question: Question
}

/** An answer on its way, or how far an inspection has come. */
export type Told =
  | { readonly id: number; readonly type: 'answer'; readonly answer: unknown }
  | { readonly id: number; readonly type: 'fault'; readonly fault: Fault }
  | { readonly id: number; readonly type: 'progress'; readonly checked: number; readonly total: number }
