import { setTimeout as systemTimeout } from 'node:timers/promises'

/** Lets time pass between two timed parts, or before the first one; never inside one. */
export async function gap(ms: number): Promise<void> {
  await systemTimeout(ms)
}
