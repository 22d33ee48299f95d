import type { MessageLog } from '../log.ts'
import { appendCases } from './append.ts'
import { consumeCases } from './consume.ts'
import { groupCases } from './groups.ts'
import { type LogHarness, type RegisterTest, realClock, type Suite } from './harness.ts'
import { leaseCases } from './leases.ts'
import { persistCases } from './persist.ts'
import { randomCases } from './random.ts'
import { readCases } from './read.ts'
import { sessionCases } from './sessions.ts'
import { settleCases } from './settle.ts'
import { sharedCases } from './shared.ts'

export type { ConformanceOptions, LogHarness, RegisterTest, SuiteClock } from './harness.ts'

/**
 * Registers the tests that every log must pass. A log that can be opened again (`reopen` and `crash` of the harness) is held to what
 * persistent logs promise, one that several processes may use (`another` and `abandon`) to what shared ones do; what a log says that it does not support must be refused with UNSUPPORTED.
 */
export function logConformance(harness: LogHarness, test: RegisterTest): void {
  /** Logs that were closed, or abandoned: they are not the suite's any more. */
  const over = new WeakSet<MessageLog>()
  const { reopen, crash, another, abandon } = harness
  const ending =
    (run: (log: MessageLog) => Promise<MessageLog>) =>
    (log: MessageLog): Promise<MessageLog> => {
      over.add(log)
      return run.call(harness, log)
    }
  const suite: Suite = {
    harness: {
      make: (options) => harness.make(options),
      ...(reopen !== undefined && { reopen: ending(reopen) }),
      ...(crash !== undefined && { crash: ending(crash) }),
      ...(another !== undefined && { another: (log) => another.call(harness, log) }),
      ...(abandon !== undefined && { abandon: (log) => abandon.call(harness, log) }),
    },
    clock: harness.clock ?? realClock,
    on(title, run, options) {
      test(title, async () => {
        const log = await harness.make(options)
        try {
          await run(log)
        } finally {
          if (!over.has(log)) await log[Symbol.asyncDispose]()
        }
      })
    },
  }
  appendCases(suite)
  readCases(suite)
  consumeCases(suite)
  leaseCases(suite)
  sessionCases(suite)
  settleCases(suite)
  groupCases(suite)
  randomCases(suite)
  if (reopen !== undefined && crash !== undefined) persistCases(suite)
  if (another !== undefined) sharedCases(suite)
}
