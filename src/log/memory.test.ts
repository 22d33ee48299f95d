import { expect, test } from 'vitest'
import { BusError } from '../kit/errors.ts'
import { type FakeEnv, fakeEnv } from '../testing/fake-env.ts'
import { logConformance } from './conformance/suite.ts'
import { logOver } from './front.ts'
import type { MessageLog } from './log.ts'
import { memoryLog, memoryStore } from './memory.ts'
import type { Store } from './store.ts'

// The suite brings its own checks, so that it can be shipped: what it throws is the failure.
const register = (kind: string) => (title: string, run: () => Promise<void>) =>
  test(`${title} (${kind})`, async () => {
    await expect(run()).resolves.toBeUndefined()
  })

let env: FakeEnv = fakeEnv()
const clock = { wallMs: () => env.wallMs(), advance: (ms: number) => env.advance(ms) }

logConformance(
  {
    clock,
    async make(options) {
      env = fakeEnv()
      return memoryLog({ env, ...options })
    },
  },
  register('memory'),
)

/** Logs over a store whose content outlives them: what the front does, as a store on disk would see it. */
function lasting() {
  const alive = new Map<MessageLog, { readonly store: Store; die(): void }>()
  const open = async (store: Store, own: FakeEnv | undefined): Promise<MessageLog> => {
    let dead = false
    const log = await logOver(
      {
        ...store,
        level: 'process',
        // A process that has died keeps nothing, and answers nothing.
        commit: (ops) => (dead ? new Promise(() => undefined) : store.commit(ops)),
        check({ data }) {
          if (typeof (data as { call?: unknown } | undefined)?.call !== 'function') return
          throw new BusError('INVALID_PAYLOAD', 'a function')
        },
      },
      own === undefined ? {} : { env: own },
    )
    alive.set(log, {
      store,
      die() {
        dead = true
      },
    })
    return log
  }
  const again = (log: MessageLog, own: FakeEnv | undefined): Promise<MessageLog> => {
    const { store, die } = alive.get(log)!
    die()
    return open(store, own)
  }
  return { open, again }
}

for (const [kind, fake] of [
  ['a store that lasts', true],
  ['a store that lasts, in real time', false],
] as const) {
  const { open, again } = lasting()
  const own = (): FakeEnv | undefined => (fake ? env : undefined)
  logConformance(
    {
      ...(fake && { clock }),
      async make(options) {
        env = fakeEnv()
        return open(memoryStore({ ...(fake && { env }), ...options }), own())
      },
      async reopen(log) {
        await log[Symbol.asyncDispose]()
        return again(log, own())
      },
      crash: (log) => again(log, own()),
    },
    register(kind),
  )
}
