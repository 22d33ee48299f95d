import { BusError, type ErrorCode, isBusError } from '../../kit/errors.ts'
import type { Fault } from './protocol.ts'

/** The primary result codes of SQLite that are told apart: https://sqlite.org/rescode.html */
const BUSY = 5
const LOCKED = 6
const READONLY = 8
const IOERR = 10
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const NOTADB = 26

/** What a failed step means for the store. */
export type FaultKind = 'full' | 'io' | 'corrupt' | 'busy' | 'other'

/** The extended result code of an error of node:sqlite; undefined for any other. */
export function errcodeOf(error: unknown): number | undefined {
  const errcode = (error as { errcode?: unknown } | null)?.errcode
  return typeof errcode === 'number' ? errcode : undefined
}

/** Tells faults of SQLite and of the file system apart. */
export function kindOf(error: unknown): FaultKind {
  const errcode = errcodeOf(error)
  if (errcode === undefined) {
    const code = (error as { code?: unknown } | null)?.code
    if (code === 'ENOSPC' || code === 'EDQUOT') return 'full'
    return typeof code === 'string' && /^E[A-Z]+$/.test(code) ? 'io' : 'other'
  }
  switch (errcode & 0xff) {
    case FULL:
      return 'full'
    case IOERR:
    case READONLY:
    case CANTOPEN:
      return 'io'
    case CORRUPT:
    case NOTADB:
      return 'corrupt'
    case BUSY:
    case LOCKED:
      return 'busy'
    default:
      return 'other'
  }
}

const WHAT: Readonly<Record<FaultKind, readonly [code: ErrorCode, text: string]>> = {
  full: ['STORE_FULL', 'there is no room on the disk; nothing was stored. Free space: it goes on by itself'],
  io: [
    'STORE_FAILED',
    'the disk refused to read or write; the store takes nothing more until it is opened again, for what the disk still holds is not known. Check the disk, then restart',
  ],
  corrupt: [
    'STORE_FAILED',
    'the database is damaged. Look at it with `swarmbus doctor FILE`, restore it from a copy, or use another file',
  ],
  busy: ['STORE_LOCKED', 'another program holds the database. Stop it, or use another file'],
  other: ['STORE_FAILED', 'the store failed; nothing was stored'],
}

/** The error of the bus for whatever was thrown while the file was used: with a cause, and a sentence that says what to do. */
export function storeError(error: unknown, file: string): BusError {
  if (isBusError(error)) return error
  const kind = kindOf(error)
  const [code, text] = WHAT[kind]
  return new BusError(code, `${file}: ${text}`, { cause: error, details: { file, errcode: errcodeOf(error) } })
}

/** What the file system says of a file that cannot be opened, and what to do. */
const REFUSALS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not read and write it. Change the rights of the file and its folder, or use another file',
  EPERM: 'this user may not read and write it. Change the rights of the file and its folder, or use another file',
  EROFS: 'it lies on a file system that can only be read. Use another file',
  ENOENT: 'it cannot be made there. Use another file',
  ENOTDIR: 'a part of its path is no folder. Use another file',
  EISDIR: 'it is a folder. Name a file in it',
  ENAMETOOLONG: 'its name is too long. Use another file',
}

/** As {@link storeError}, while the file is being opened: nothing was stored in it yet. */
export function openError(error: unknown, file: string): BusError {
  if (isBusError(error)) return error
  const code = (error as { code?: unknown } | null)?.code
  const why = typeof code === 'string' ? REFUSALS[code] : undefined
  const isUnopened = errcodeOf(error) !== undefined && ((errcodeOf(error) as number) & 0xff) === CANTOPEN
  if (why === undefined && !isUnopened) return storeError(error, file)
  const text = why ?? 'it cannot be opened. Look at the rights of the file and its folder, or use another file'
  return new BusError('STORE_FAILED', `${file}: ${text}`, {
    cause: error,
    details: { file, errcode: errcodeOf(error) },
  })
}

/** An error as something that can be cloned. */
export function toFault(error: BusError): Fault {
  const { cause } = error
  return {
    code: error.code,
    message: error.message,
    details: error.details,
    cause:
      cause instanceof Error
        ? {
            name: cause.name,
            message: cause.message,
            code: (cause as { code?: unknown }).code,
            errcode: errcodeOf(cause),
          }
        : undefined,
  }
}

/** The error that {@link toFault} was given. */
export function fromFault({ code, message, details, cause }: Fault): BusError {
  if (cause === undefined) return new BusError(code, message, { details })
  const inner = Object.assign(new Error(cause.message), { code: cause.code, errcode: cause.errcode })
  inner.name = cause.name
  return new BusError(code, message, { cause: inner, details })
}
