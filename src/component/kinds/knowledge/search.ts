import type { Piece } from './knowledge.ts'

/** Characters of a piece, and how many of them it shares with the one before. */
const PIECE = 1_000
const OVERLAP = 200

/** Cuts a text into pieces of 1 000 characters that overlap by 200. */
export function piecesOf(file: string, text: string): readonly Piece[] {
  const pieces: Piece[] = []
  for (let start = 0; start < text.length; start += PIECE - OVERLAP) {
    pieces.push({ file, text: text.slice(start, start + PIECE) })
    if (start + PIECE >= text.length) break
  }
  return pieces
}

/** How much a word counts that stands often in one piece, and how much long pieces are held back (BM25, Robertson and Zaragoza 2009). */
const OFTEN = 1.2
const LENGTH = 0.75

/** The pieces that fit the words best, the best first (BM25); those without any of them are left out. */
export function bestPieces(pieces: readonly Piece[], query: string, count: number): readonly Piece[] {
  const wanted = new Set(wordsIn(query))
  const counted = pieces.map(({ text }) => countsOf(wordsIn(text)))
  const mean = counted.reduce((sum, { length }) => sum + length, 0) / Math.max(1, pieces.length)
  const scores = counted.map(() => 0)
  for (const word of wanted) {
    const having = counted.filter(({ counts }) => counts.has(word)).length
    if (having === 0) continue
    const rare = Math.log(1 + (pieces.length - having + 0.5) / (having + 0.5))
    counted.forEach(({ counts, length }, index) => {
      const times = counts.get(word) ?? 0
      const weight = (times * (OFTEN + 1)) / (times + OFTEN * (1 - LENGTH + (LENGTH * length) / mean))
      scores[index] = (scores[index] as number) + rare * weight
    })
  }
  return pieces
    .map((piece, index) => ({ piece, score: scores[index] as number }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .slice(0, count)
    .map(({ piece }) => piece)
}

function wordsIn(text: string): readonly string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
}

function countsOf(words: readonly string[]): { readonly counts: ReadonlyMap<string, number>; readonly length: number } {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return { counts, length: words.length }
}
