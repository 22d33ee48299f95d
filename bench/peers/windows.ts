/** Calls `one` for 0 … count − 1, so many at once; each goes on when its own promise resolves. */
export async function inFlight(count: number, window: number, one: (id: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const run = async (): Promise<void> => {
    for (let id = next++; id < count; id = next++) await one(id)
  }
  await Promise.all(Array.from({ length: Math.min(window, count) }, run))
}
