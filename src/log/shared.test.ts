import { expect, test } from 'vitest'
import { type FakeEnv, fakeEnv } from '../testing/fake-env.ts'
import { type LogHarness, logConformance } from './conformance/suite.ts'
import type { MessageLog } from './log.ts'
import { memoryLog } from './memory.ts'

// What is asked of shared logs must be possible, and fit what is asked of all: the memory log of one process, seen through two windows,
// keeps it. Logs on brokers run the same cases with processes and connections of their own.

let env: FakeEnv = fakeEnv()
const clock = { wallMs: () => env.wallMs(), advance: (ms: number) => env.advance(ms) }

/** The log as another process sees it: its end ends what was begun there, and nothing else. */
function another(log: MessageLog): MessageLog {
  const ending = new AbortController()
  const within = (signal: AbortSignal | undefined): AbortSignal =>
    signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal])
  return {
    ...log,
    read: (stream, options = {}) => log.read(stream, { ...options, signal: within(options.signal) }),
    consume: (stream, group, options = {}) =>
      log.consume(stream, group, { ...options, signal: within(options.signal) }),
    async [Symbol.asyncDispose]() {
      ending.abort()
    },
  }
}

const alone: LogHarness = {
  clock,
  async make(options) {
    env = fakeEnv()
    const log = memoryLog({ env, ...options })
    return { ...log, supports: { ...log.supports, shared: true } }
  },
}

const forAll = new Set<string>()
logConformance(alone, (title) => void forAll.add(title))

logConformance(
  {
    ...alone,
    another: async (log) => another(log),
    // Whoever was consuming there asks for nothing any more, and answers nothing.
    abandon: async () => undefined,
  },
  (title, run) => {
    if (forAll.has(title)) return
    test(`${title} (memory, two windows)`, async () => {
      await expect(run()).resolves.toBeUndefined()
    })
  },
)
