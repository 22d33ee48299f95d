const MOST_LENGTH = 64

/** The name that is most like the wanted one: at most a third of its letters differ, or it begins alike. Undefined when none is. */
export function nearest(wanted: string, names: Iterable<string>): string | undefined {
  const low = wanted.toLowerCase().slice(0, MOST_LENGTH)
  let best: string | undefined
  // Of one letter nothing is left that could be alike.
  let least = Math.min(low.length - 1, Math.max(1, Math.floor(low.length / 3))) + 1
  for (const name of names) {
    const distance = distanceOf(low, name.toLowerCase().slice(0, MOST_LENGTH))
    if (distance >= least) continue
    best = name
    least = distance
  }
  return best
}

/** How many letters must be put in, taken out, changed or swapped with their neighbour. */
function distanceOf(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let least = Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, (row[j - 1] as number) + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (before[j - 2] as number) + 1)
      }
      next.push(least)
    }
    before = row
    row = next
  }
  return row[b.length] as number
}
