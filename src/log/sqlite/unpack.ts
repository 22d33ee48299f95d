import { fromJson } from '../../message/codec.ts'
import type { Clocks } from '../../message/restore.ts'
import type { BadEntry, StoredEntry } from '../store.ts'
import { HEAD, KIND_DAMAGED, KIND_LOST, NO_NOTE, NO_TIME, PREFIX, type Records } from './layout.ts'

/** Reads the record at `at` of a page; gives back where the next one lies. A body that is no message counts as damaged. */
export function entryAt(
  { bytes, words, numbers }: Records,
  at: number,
  clocks: Clocks,
): { readonly entry: StoredEntry | BadEntry; readonly end: number } {
  const word = at >> 2
  const number = (at + PREFIX) >> 3
  const end = at + (words[word] as number)
  const kind = words[word + 1]
  const offset = numbers[number] as number
  if (kind === KIND_DAMAGED) return { entry: { type: 'bad', offset, reason: 'damaged' }, end }
  if (kind === KIND_LOST) return { entry: { type: 'bad', offset, reason: 'lost' }, end }
  const noteWord = words[word + 14] as number
  const noteEnd = at + HEAD + (noteWord === NO_NOTE ? 0 : noteWord)
  const dueAt = numbers[number + 3] as number
  try {
    const text = bytes.toString('utf8', noteEnd, noteEnd + (words[word + 15] as number))
    const message = fromJson(JSON.parse(text), clocks)
    return {
      entry: {
        type: 'stored',
        offset,
        message,
        storedAt: numbers[number + 2] as number,
        dueAt: dueAt === NO_TIME ? undefined : dueAt,
        note: noteWord === NO_NOTE ? undefined : bytes.toString('utf8', at + HEAD, noteEnd),
      },
      end,
    }
  } catch {
    // The checksum fits, so it was written like this: still it must cost nobody more than this entry.
    return { entry: { type: 'bad', offset, reason: 'damaged' }, end }
  }
}
