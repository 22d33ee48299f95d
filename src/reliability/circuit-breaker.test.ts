import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Failure } from '../bus/ack.ts'
import { createBus } from '../bus/bus.ts'
import type { Handler } from '../bus/handler.ts'
import { BusError, isBusError } from '../kit/errors.ts'
import { fakeEnv } from '../testing/fake-env.ts'
import {
  CIRCUIT_PRESETS,
  type CircuitBreaker,
  type CircuitChange,
  type CircuitOptions,
  type CircuitPreset,
  circuitBreaker,
  circuitPreset,
} from './circuit-breaker.ts'
import { codeOf, collect, endOf, FAILING, partsOf, testContext, testMessage } from './rig.test-d.ts'
import { countsAsAttempt, verdict } from './verdict.ts'

const fails = (): never => {
  throw new Error('down')
}

async function failTimes(circuit: CircuitBreaker, times: number): Promise<void> {
  for (let n = 0; n < times; n++) await endOf(() => circuit.call(fails))
}

const presets: readonly [name: CircuitPreset, failures: number, restMs: number, successes: number][] = [
  ['provider', 3, 30_000, 1],
  ['persistence', 5, 60_000, 1],
  ['coordinator', 2, 15_000, 1],
  ['tool', 3, 45_000, 1],
  ['default', 5, 60_000, 1],
  ['executor', 5, 60_000, 3],
]

test.each(presets)(
  '[Z28] the preset %s opens after %i failures, rests %i ms, closes after %i successes',
  async (name, failures, restMs, successes) => {
    const env = fakeEnv()
    const circuit = circuitBreaker({ ...circuitPreset(name), env })
    await failTimes(circuit, failures - 1)
    expect(circuit.state).toBe('closed')
    await failTimes(circuit, 1)
    expect([circuit.state, circuit.leftMs]).toEqual(['open', restMs])
    await env.advance(restMs - 1)
    expect(circuit.state).toBe('open')
    await env.advance(1)
    expect(circuit.state).toBe('half-open')
    for (let n = 0; n < successes; n++) {
      expect(circuit.state).toBe('half-open')
      expect(await circuit.call(() => 'ok')).toBe('ok')
    }
    expect(circuit.state).toBe('closed')
  },
)

test('[Z28] every preset is covered, and another name is refused', () => {
  expect(presets.map(([name]) => name).sort()).toEqual(Object.keys(CIRCUIT_PRESETS).sort())
  expect(() => circuitPreset('none' as CircuitPreset)).toThrow(/"provider", "persistence"/)
})

test('[Z28] an open circuit refuses with a typed error that says how long is left', async () => {
  const env = fakeEnv()
  const circuit = circuitBreaker({ name: 'openai', failures: 1, restMs: 30_000, env })
  await failTimes(circuit, 1)
  await env.advance(10_000)
  let called = false
  const end = await endOf(() => circuit.call(() => (called = true)))
  const error = (end as { error: unknown }).error
  expect(isBusError(error, 'CIRCUIT_OPEN') && error.details).toEqual({ name: 'openai', leftMs: 20_000, state: 'open' })
  expect([called, circuit.counts.refused]).toEqual([false, 1])
})

test('[LN4] 20 failing calls with threshold 3 open the circuit: 3 reach the dependency, 17 are refused', async () => {
  const circuit = circuitBreaker({ failures: 3, env: fakeEnv() })
  let reached = 0
  for (let n = 0; n < 20; n++) {
    await endOf(() =>
      circuit.call(() => {
        reached++
        return fails()
      }),
    )
  }
  expect([circuit.state, reached]).toEqual(['open', 3])
  expect(circuit.counts).toMatchObject({ failed: 3, refused: 17, opened: 1 })
})

test('[LN4] 20 calls that fail at the same time open the circuit once', async () => {
  const circuit = circuitBreaker({ failures: 3, env: fakeEnv() })
  await Promise.allSettled(Array.from({ length: 20 }, () => circuit.call(() => Promise.reject(new Error('down')))))
  expect(circuit.state).toBe('open')
  expect(circuit.counts).toMatchObject({ failed: 20, opened: 1, running: 0 })
})

test('a success in between starts the count of failures anew', async () => {
  const circuit = circuitBreaker({ failures: 3, env: fakeEnv() })
  for (let n = 0; n < 5; n++) {
    await failTimes(circuit, 2)
    await circuit.call(() => 1)
  }
  expect([circuit.state, circuit.counts.failed]).toEqual(['closed', 10])
})

test('[I19] a half-open circuit admits exactly the stated few at once', async () => {
  const env = fakeEnv()
  const circuit = circuitBreaker({ failures: 1, restMs: 100, halfOpenCalls: 2, successesToClose: 3, env })
  await failTimes(circuit, 1)
  await env.advance(100)
  const finish: (() => void)[] = []
  const probe = (): Promise<unknown> =>
    endOf(() => circuit.call(() => new Promise<void>((resolve) => finish.push(resolve))))
  const ends = Array.from({ length: 10 }, probe)
  await env.settle()
  expect([finish.length, circuit.counts.refused]).toEqual([2, 8])
  for (const run of finish.splice(0)) run()
  await env.settle()
  expect(circuit.state).toBe('half-open')
  ends.push(probe())
  await env.settle()
  finish[0]?.()
  await Promise.all(ends)
  expect(circuit.state).toBe('closed')
})

test('one failed probe opens the circuit again for its whole rest', async () => {
  const env = fakeEnv()
  const circuit = circuitBreaker({ failures: 2, restMs: 100, successesToClose: 2, env })
  await failTimes(circuit, 2)
  await env.advance(150)
  await circuit.call(() => 1)
  await failTimes(circuit, 1)
  expect([circuit.state, circuit.leftMs, circuit.counts.opened]).toEqual(['open', 100, 2])
})

test('[I17] a probe that hangs does not hold the circuit half-open for ever', async () => {
  const env = fakeEnv()
  const circuit = circuitBreaker({ failures: 1, restMs: 100, env })
  await failTimes(circuit, 1)
  await env.advance(100)
  void circuit.call(() => new Promise(() => undefined))
  await env.advance(50)
  expect(await codeOf(() => circuit.call(() => 1))).toBe('CIRCUIT_OPEN')
  expect(circuit.state).toBe('half-open')
  await env.advance(50)
  expect(await codeOf(() => circuit.call(() => 1))).toBe('CIRCUIT_OPEN')
  expect(circuit.state).toBe('open')
  await env.advance(100)
  expect(await circuit.call(() => 'ok')).toBe('ok')
  expect(circuit.state).toBe('closed')
})

test('a call that began before the circuit opened says nothing about the state after', async () => {
  const env = fakeEnv()
  const circuit = circuitBreaker({ failures: 1, restMs: 100, env })
  let finish = (): void => undefined
  const old = circuit.call(() => new Promise<void>((resolve) => (finish = resolve)))
  await failTimes(circuit, 1)
  await env.advance(100)
  let probed = (): void => undefined
  const probe = circuit.call(() => new Promise<void>((resolve) => (probed = resolve)))
  finish()
  await old
  expect(circuit.state).toBe('half-open')
  probed()
  await probe
  expect(circuit.state).toBe('closed')
})

test('faults of the input, cancelled calls and refusals before the call are no failures; a hanging provider is', async () => {
  const env = fakeEnv()
  const cases: [unknown, 'closed' | 'open'][] = [
    [new BusError('SCHEMA_MISMATCH', 'x'), 'closed'],
    [new BusError('CANCELLED', 'x'), 'closed'],
    [new BusError('RATE_LIMITED', 'x', { details: { started: false } }), 'closed'],
    [new BusError('RATE_LIMITED', 'x'), 'open'],
    [new BusError('HANDLER_TIMEOUT', 'x'), 'open'],
    [undefined, 'open'],
  ]
  for (const [error, state] of cases) {
    const circuit = circuitBreaker({ failures: 1, env })
    await endOf(() => circuit.call(() => Promise.reject(error as Error)))
    expect([circuit.state, circuit.counts.running]).toEqual([state, 0])
  }
})

test('a predicate decides what is a failure, and a predicate that throws says yes', async () => {
  const env = fakeEnv()
  const tolerant = circuitBreaker({ failures: 1, isFailure: (error) => !(error instanceof TypeError), env })
  await endOf(() => tolerant.call(() => Promise.reject(new TypeError('mine'))))
  expect([tolerant.state, tolerant.counts.ignored]).toEqual(['closed', 1])
  await failTimes(tolerant, 1)
  expect(tolerant.state).toBe('open')
  const broken = circuitBreaker({ failures: 1, isFailure: fails, env })
  await failTimes(broken, 1)
  expect(broken.state).toBe('open')
})

test('a result with success = false is a failure', async () => {
  const circuit = circuitBreaker({ failures: 2, env: fakeEnv() })
  for (let n = 0; n < 2; n++) expect(await circuit.call(() => ({ success: false }))).toEqual({ success: false })
  expect(circuit.state).toBe('open')
})

test('each change of state is told once, and a listener that throws decides nothing', async () => {
  const env = fakeEnv()
  const changes: CircuitChange[] = []
  const onChange = (change: CircuitChange): void => {
    changes.push(change)
    throw new Error('listener')
  }
  const circuit = circuitBreaker({ name: 'c', failures: 1, restMs: 100, onChange, env })
  await failTimes(circuit, 3)
  await env.advance(100)
  await circuit.call(() => 1)
  circuit.open()
  circuit.open()
  circuit.close()
  expect(changes.map(({ from, to }) => `${from} ${to}`)).toEqual([
    'closed open',
    'open half-open',
    'half-open closed',
    'closed open',
    'open closed',
  ])
})

test('[I14] a step of the wall clock neither opens nor closes', async () => {
  const env = fakeEnv()
  const circuit = circuitBreaker({ failures: 1, restMs: 100, env })
  await failTimes(circuit, 1)
  env.setWall(env.wallMs() + 1_000_000)
  expect(circuit.state).toBe('open')
  env.setWall(0)
  await env.advance(100)
  expect(circuit.state).toBe('half-open')
})

test.each(Object.entries(FAILING))(
  'around a handler that %s, the failure is counted once and stays its own',
  async (_, handler) => {
    const env = fakeEnv()
    const circuit = circuitBreaker({ failures: 2, env })
    const wrapped = circuit.middleware(handler)
    expect(await endOf(() => wrapped(testMessage(env), testContext()))).toHaveProperty('error')
    expect([circuit.state, circuit.counts.failed, circuit.counts.running]).toEqual(['closed', 1, 0])
    await endOf(() => wrapped(testMessage(env), testContext()))
    expect(circuit.state).toBe('open')
  },
)

test('a handler that never resolves is a failure when its delivery is aborted', async () => {
  const env = fakeEnv()
  const circuit = circuitBreaker({ failures: 1, env })
  const context = testContext()
  void circuit.middleware(() => new Promise(() => undefined))(testMessage(env), context)
  expect([circuit.state, circuit.counts.running]).toEqual(['closed', 1])
  context.controller.abort(new BusError('HANDLER_TIMEOUT', 'x'))
  expect([circuit.state, circuit.counts.running]).toEqual(['open', 0])
})

test('a message that its handler gave back is a failure, once', async () => {
  const env = fakeEnv()
  const circuit = circuitBreaker({ failures: 2, env })
  const wrapped = circuit.middleware(async (_, context) => context.nack())
  await wrapped(testMessage(env), testContext())
  expect(circuit.counts).toMatchObject({ failed: 1, succeeded: 0 })
})

test('a stream counts when it ends: with its last part, its failure, or nobody left', async () => {
  const env = fakeEnv()
  const circuit = circuitBreaker({ failures: 1, env })
  const run = (handler: Handler): unknown => circuit.middleware(handler)(testMessage(env), testContext())
  const good = run(() => partsOf([1, 2]))
  expect(circuit.counts.running).toBe(1)
  expect(await collect(good)).toEqual([1, 2])
  expect(circuit.counts).toMatchObject({ succeeded: 1, running: 0 })
  for await (const _ of run(() => partsOf([1, 2])) as AsyncIterable<unknown>) break
  expect(circuit.counts).toMatchObject({ ignored: 1, running: 0 })
  await expect(collect(run(() => partsOf([1], new Error('cut'))))).rejects.toThrow('cut')
  expect([circuit.state, circuit.counts.running]).toEqual(['open', 0])
})

test('[I19] on a bus, a message for an open circuit is refused before its handler, and is to be tried again without using an attempt', async () => {
  const env = fakeEnv()
  const failures: Failure[] = []
  await using bus = createBus({ env, onFailure: (failure) => void failures.push(failure) })
  const circuit = circuitBreaker({ failures: 1, env })
  let calls = 0
  const handler = (): void => {
    calls++
    throw new Error('down')
  }
  bus.subscribe('t', handler, { middleware: [circuit.middleware] })
  for (const n of [1, 2, 3]) await bus.publish('t', n)
  await env.settle()
  expect([calls, failures.length]).toEqual([1, 3])
  const [first, ...refused] = failures
  expect(countsAsAttempt(first?.error, first?.reason)).toBe(true)
  for (const { error, reason } of refused) {
    expect(isBusError(error, 'CIRCUIT_OPEN')).toBe(true)
    expect([verdict(error, reason), countsAsAttempt(error, reason)]).toEqual(['retry', false])
  }
})

const wrong: readonly [field: string, options: object][] = [
  ['failures', { failures: 0 }],
  ['restMs', { restMs: 0 }],
  ['halfOpenCalls', { halfOpenCalls: 0.5 }],
  ['successesToClose', { successesToClose: '1' }],
  ['isFailure', { isFailure: true }],
  ['name', { name: '' }],
  ['threshold', { threshold: 3 }],
]

test.each(wrong)('a wrong "%s" is refused by name', (field, options) => {
  let thrown: unknown
  try {
    circuitBreaker(options as CircuitOptions)
  } catch (error) {
    thrown = error
  }
  expect(isBusError(thrown, 'INVALID_OPTION') && thrown.details.field).toBe(field)
})

type Step = { readonly type: 'ok' | 'fail' | 'ignore' } | { readonly type: 'wait'; readonly ms: number }

const steps = fc.array(
  fc.oneof(
    fc.record({ type: fc.constantFrom('ok' as const, 'fail' as const, 'ignore' as const) }),
    fc.record({ type: fc.constant('wait' as const), ms: fc.constantFrom(1, 50, 99, 100, 101, 500) }),
  ),
  { maxLength: 60 },
)

test('whatever happens, the circuit is in the state that the rules give', async () => {
  await fc.assert(
    fc.asyncProperty(
      steps,
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 3 }),
      async (list: Step[], failures, successesToClose) => {
        const env = fakeEnv()
        const isFailure = (error: unknown): boolean => error !== 'ignore'
        const circuit = circuitBreaker({ failures, restMs: 100, successesToClose, isFailure, env })
        // The rules once more, written as a table of one call after another.
        let state = 'closed'
        let inRow = 0
        let openedMs = 0
        for (const step of list) {
          if (step.type === 'wait') {
            // Nothing waits for a timer here; the clock alone must do.
            await env.advance(step.ms)
            continue
          }
          if (state === 'open' && env.monotonicMs() - openedMs >= 100) [state, inRow] = ['half-open', 0]
          const passes = state !== 'open'
          const code = await codeOf(() =>
            circuit.call(() => (step.type === 'ok' ? 1 : Promise.reject<number>(step.type as unknown as Error))),
          )
          expect(code === 'CIRCUIT_OPEN').toBe(!passes)
          if (!passes || step.type === 'ignore') continue
          if (step.type === 'ok') {
            if (state === 'half-open' && ++inRow >= successesToClose) [state, inRow] = ['closed', 0]
            else if (state === 'closed') inRow = 0
          } else if (state === 'half-open' || ++inRow >= failures) {
            ;[state, inRow, openedMs] = ['open', 0, env.monotonicMs()]
          }
          expect(circuit.state).toBe(state)
        }
        expect(circuit.counts.running).toBe(0)
      },
    ),
    { numRuns: 60 },
  )
})
