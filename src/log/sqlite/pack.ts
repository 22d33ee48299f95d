import { BusError } from '../../kit/errors.ts'
import type { Message } from '../../message/message.ts'
import type { AppendOp, StoredAt, StoreOp } from '../store.ts'
import { textOf } from './encode.ts'
import {
  grown,
  HEAD,
  KEY_IS_ID,
  KEY_NONE,
  KEY_TEXT,
  NO_NOTE,
  NO_TIME,
  PREFIX,
  padded,
  REPEATED,
  type Records,
  recordsIn,
} from './layout.ts'
import type { Answers, Question, Step } from './protocol.ts'

// Hot path: a commit becomes one buffer and a few small lists.

/** Checked texts that wait for their commit, so that nothing is encoded twice. */
const MOST_TEXTS = 4_096
const LONGEST_TEXT = 16_384
/** Buffers that came back and are used again. */
const MOST_BUFFERS = 4
const LARGEST_BUFFER = 1_048_576
/** Messages between two looks at the clock. */
const LOOK_EVERY = 16

/** Encodes messages and packs commits. */
export interface Packer {
  /** Throws what the codec throws; PAYLOAD_TOO_LARGE above `maxBytes`. */
  check(message: Message): void
  /** Starts packing; `advance` goes on until done (true) or until `enough` says so (false). Throws what {@link Packer.check} throws. */
  pack(ops: readonly StoreOp[]): Packing
  /** The answers of a commit, in the order of its appends. Takes the buffer back. */
  unpack(ops: readonly StoreOp[], packing: Packing, answer: Answers['commit']): readonly StoredAt[]
}

/** A commit that is being packed. */
export interface Packing {
  advance(enough: () => boolean): boolean
  readonly question: Extract<Question, { type: 'commit' }>
  /** All streams that records go to. */
  readonly names: readonly string[]
}

function isStored(message: AppendOp['message']): message is Message {
  return (message as Partial<Message>).topic !== undefined
}

/** A packer for messages of at most `maxBytes` encoded bytes. */
export function makePacker(maxBytes: number): Packer {
  const texts = new Map<Message, string>()
  const spare: ArrayBuffer[] = []

  function encode(message: Message): string {
    const text = textOf(message)
    // A character has at most three bytes: only long texts are measured.
    if (text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes) {
      const bytes = Buffer.byteLength(text)
      throw new BusError(
        'PAYLOAD_TOO_LARGE',
        `the message "${message.topic}" has ${bytes} bytes as JSON; allowed: ${maxBytes}`,
        { details: { field: 'bytes', bytes, allowed: maxBytes } },
      )
    }
    return text
  }
  function take(message: Message): string {
    const text = texts.get(message)
    if (text === undefined) return encode(message)
    texts.delete(message)
    return text
  }

  function pack(ops: readonly StoreOp[]): Packing {
    const names: string[] = []
    const numbersOf = new Map<string, number>()
    const steps: Step[] = []
    let records: Records = recordsIn(spare.pop() ?? new ArrayBuffer(16_384))
    let used = 0
    let index = 0
    let run = 0

    function streamNumber(name: string): number {
      let number = numbersOf.get(name)
      if (number === undefined) {
        number = names.push(name) - 1
        numbersOf.set(name, number)
      }
      return number
    }
    function add(op: AppendOp, message: Message): void {
      const text = take(message)
      const key = op.key === undefined || op.key === message.id ? undefined : op.key
      const { note } = op
      const most = HEAD + (text.length + (note?.length ?? 0) + (key?.length ?? 0)) * 3 + 8
      records = grown(records, used, most)
      const { bytes, words, numbers } = records
      const at = used
      const noteBytes = note === undefined ? 0 : bytes.write(note, at + HEAD)
      const bodyBytes = bytes.write(text, at + HEAD + noteBytes)
      const end = HEAD + noteBytes + bodyBytes
      const keyBytes = key === undefined ? 0 : bytes.write(key, at + end)
      const word = at >> 2
      words[word] = padded(end + keyBytes)
      words[word + 1] = streamNumber(op.stream)
      words[word + 2] = op.key === undefined ? KEY_NONE : key === undefined ? KEY_IS_ID : KEY_TEXT
      words[word + 3] = keyBytes
      words[word + 14] = note === undefined ? NO_NOTE : noteBytes
      words[word + 15] = bodyBytes
      const number = (at + PREFIX) >> 3
      numbers[number] = 0
      numbers[number + 1] = 0
      numbers[number + 2] = op.storedAt
      numbers[number + 3] = op.dueAt ?? NO_TIME
      numbers[number + 4] = message.expiresAt ?? NO_TIME
      used += padded(end + keyBytes)
      run++
    }
    function endRun(): void {
      if (run > 0) steps.push({ type: 'records', count: run })
      run = 0
    }
    return {
      names,
      advance(enough) {
        while (index < ops.length) {
          const op = ops[index++] as StoreOp
          if (op.type === 'append') {
            const { message } = op
            if (isStored(message)) {
              add(op, message)
              if (index % LOOK_EVERY === 0 && enough()) return false
              continue
            }
            endRun()
            const { stream, key, storedAt, dueAt, note } = op
            steps.push({ type: 'copy', stream, source: message, key, storedAt, dueAt, note })
          } else {
            endRun()
            steps.push(op)
          }
        }
        endRun()
        return true
      },
      get question() {
        return { type: 'commit' as const, buffer: records.bytes.buffer as ArrayBuffer, streams: names, steps }
      },
    }
  }

  return {
    pack,
    check(message) {
      const text = encode(message)
      if (text.length > LONGEST_TEXT) return
      if (texts.size >= MOST_TEXTS) texts.clear()
      texts.set(message, text)
    },
    unpack(ops, packing, answer) {
      const { words, numbers } = recordsIn(answer.buffer)
      const stored: StoredAt[] = []
      let at = 0
      let copies = 0
      let repeats = 0
      for (const op of ops) {
        if (op.type !== 'append') continue
        if (!isStored(op.message)) {
          stored.push(answer.copies[copies++] as StoredAt)
          continue
        }
        const word = at >> 2
        const number = (at + PREFIX) >> 3
        if (numbers[number + 1] === REPEATED) stored.push(answer.repeats[repeats++] as StoredAt)
        else {
          const noteBytes = words[word + 14] as number
          stored.push({
            stream: packing.names[words[word + 1] as number] as string,
            offset: numbers[number] as number,
            id: op.message.id,
            duplicate: false,
            bytes: (words[word + 15] as number) + (noteBytes === NO_NOTE ? 0 : noteBytes),
          })
        }
        at += words[word] as number
      }
      if (spare.length < MOST_BUFFERS && answer.buffer.byteLength <= LARGEST_BUFFER) spare.push(answer.buffer)
      return stored
    },
  }
}
