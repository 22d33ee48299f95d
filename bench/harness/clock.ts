import type { Pass } from './types.ts'

/** Runs the timed part of a pass. */
export async function timed(units: number, run: () => Promise<unknown>): Promise<Pass> {
  const startMs = performance.now()
  await run()
  return { seconds: (performance.now() - startMs) / 1_000, units }
}

/** As {@link timed}, with the milliseconds that `run` noted for each unit. */
export async function timedEach(units: number, run: (samples: Float64Array) => Promise<unknown>): Promise<Pass> {
  const samples = new Float64Array(units)
  const pass = await timed(units, () => run(samples))
  return { ...pass, samples }
}

/** One after another, each timed alone. */
export function serially(units: number, one: (id: number) => Promise<unknown>): Promise<Pass> {
  return timedEach(units, async (samples) => {
    for (let id = 0; id < units; id++) {
      const startMs = performance.now()
      await one(id)
      samples[id] = performance.now() - startMs
    }
  })
}

/** A window of permits: at most so many things are under way. */
export class Window {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(size: number) {
    this.#free = size
  }

  /** Undefined when there is room now: a full window is the only thing worth a promise. */
  enter(): Promise<void> | undefined {
    if (this.#free > 0) {
      this.#free--
      return undefined
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}
