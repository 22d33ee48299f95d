import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createBus, PRIORITIES } from '../src/index.ts'
import { fakeEnv } from '../src/testing/index.ts'
import { ACTS, LedgerModel, type Step } from './origins/support/woodwork-ledger.ts'

const root = fc.constantFrom('a' as const, 'b' as const)
const agentName = fc.constantFrom('p' as const, 'q' as const, 'r' as const)
const session = fc.constantFrom('s1', 's2')
const which = fc.nat({ max: 20 })
const room = {
  limit: fc.constantFrom(1, 2, 3, 5),
  overflow: fc.constantFrom('wait', 'refuse', 'drop-oldest', 'drop-newest', 'adaptive' as const),
  waitMs: fc.constantFrom(0, 10, 40),
}
const sent = {
  act: fc.constantFrom(...ACTS),
  session,
  priority: fc.constantFrom(...PRIORITIES),
  ttlMs: fc.constantFrom(1, 15, 60),
  until: fc.constantFrom('accepted', 'handled', 'succeeded' as const),
}

/** A record in which everything that is optional may be left out. */
function step<T extends Step['type']>(type: T, fields: object, requiredKeys: readonly string[]): fc.Arbitrary<Step> {
  return fc.record({ type: fc.constant(type), ...fields }, {
    requiredKeys: ['type', ...requiredKeys],
  } as never) as unknown as fc.Arbitrary<Step>
}

const needed = ['overflow', 'waitMs']
const anyStep = fc.oneof(
  {
    weight: 5,
    arbitrary: step(
      'subscribe',
      {
        root,
        wild: fc.boolean(),
        concurrency: fc.constantFrom(1, 2, 3),
        group: fc.constantFrom('g', 'h'),
        rank: fc.constantFrom(0, 10, 50, 90),
        session,
        ...room,
      },
      ['root', 'wild', ...needed],
    ),
  },
  { weight: 1, arbitrary: step('scope', { root, session, ...room }, ['root', 'session', ...needed]) },
  { weight: 1, arbitrary: step('end-scope', { which }, ['which']) },
  { weight: 1, arbitrary: step('inbox', { root, ...room }, ['root', ...needed]) },
  {
    weight: 3,
    arbitrary: step('register', { name: agentName, handles: fc.boolean(), replace: fc.boolean(), ...room }, [
      'name',
      'handles',
      'replace',
      ...needed,
    ]),
  },
  { weight: 1, arbitrary: step('declare', { name: agentName }, ['name']) },
  { weight: 16, arbitrary: step('publish', { root, ...sent }, ['root', 'act', 'priority']) },
  {
    weight: 6,
    arbitrary: step('send', { names: fc.uniqueArray(agentName, { minLength: 1, maxLength: 3 }), ...sent }, [
      'names',
      'act',
      'priority',
    ]),
  },
  { weight: 2, arbitrary: step('broadcast', sent, ['act', 'priority']) },
  {
    weight: 3,
    arbitrary: step('request', { root, timeoutMs: fc.constantFrom(5, 35), ...sent }, [
      'root',
      'timeoutMs',
      'act',
      'priority',
    ]),
  },
  { weight: 3, arbitrary: step('receive', { which }, ['which']) },
  { weight: 2, arbitrary: step('unsubscribe', { which }, ['which']) },
  { weight: 1, arbitrary: step('drain', { which }, ['which']) },
  { weight: 1, arbitrary: step('unregister', { which }, ['which']) },
  { weight: 1, arbitrary: step('clear', { which }, ['which']) },
  { weight: 5, arbitrary: step('advance', { ms: fc.constantFrom(1, 5, 20, 60) }, ['ms']) },
  { weight: 1, arbitrary: step('stop', { ms: fc.constantFrom(0, 25) }, ['ms']) },
  { weight: 2, arbitrary: step('start', {}, []) },
  { weight: 1, arbitrary: step('idle', {}, []) },
)
/** Few programs begin anew in the middle: most of what follows would find nobody. */
const program = fc.array(
  fc.oneof({ weight: 150, arbitrary: anyStep }, { weight: 1, arbitrary: step('reset', {}, []) }),
  {
    minLength: 10,
    maxLength: 60,
  },
)

async function runs(steps: readonly Step[], autoStart: boolean): Promise<void> {
  const env = fakeEnv()
  const model = new LedgerModel(
    (onFailure) =>
      createBus({
        env,
        onFailure,
        handlerTimeoutMs: 50,
        maxHandlers: 4,
        overtaking: 3,
        autoStart,
        limit: 8,
        requestTimeoutMs: 30,
      }),
    env,
  )
  for (const one of steps) {
    model.run(one)
    await env.settle()
    if (one.type === 'advance') await env.advance(0)
    expect(model.faults(), JSON.stringify(one)).toEqual([])
  }
  // Publishers that wait for the start hear of it, or of its never coming.
  const closing = model.bus.close({ limitMs: 30 })
  await env.advance(200)
  await closing
  await env.settle()
  const { ledger, queued, concurrency, requests, agents, subscriptions } = model.bus.stats()
  expect(model.faults(), 'after the end').toEqual([])
  expect(model.outcomeFaults()).toEqual([])
  expect({ pending: ledger.pending, queued, running: concurrency.active }).toEqual({
    pending: 0,
    queued: 0,
    running: 0,
  })
  expect({ requests: requests.pending, agents, subscriptions }).toEqual({ requests: 0, agents: 0, subscriptions: 0 })
  expect(concurrency.acquired).toBe(concurrency.released)
  expect(model.open, 'calls that never settled').toBe(0)
  expect(env.timers, 'timers that stay behind').toBe(0)
}

const critical = { act: 'ok', priority: 'critical' } as const
const waits = { root: 'a', overflow: 'wait', waitMs: 0 } as const
/** Programs that have failed once. */
const FAILED_ONCE: [Step[], boolean][] = [
  [
    [
      { type: 'subscribe', wild: false, ...waits },
      { type: 'publish', root: 'a', act: 'hang', priority: 'critical' },
      { type: 'unsubscribe', which: 0 },
    ],
    false,
  ],
  [
    [
      { type: 'subscribe', wild: false, rank: 90, ...waits },
      { type: 'inbox', ...waits },
      { type: 'publish', root: 'a', act: 'hang', priority: 'critical' },
      ...[1, 2, 3].map(() => ({ type: 'publish', root: 'a', ...critical }) as const),
      { type: 'stop', ms: 0 },
    ],
    false,
  ],
]

test('in random programs every delivery is in exactly one place at every step and has exactly one outcome in the end', async () => {
  await fc.assert(
    fc.asyncProperty(program, fc.boolean(), (steps, late) => runs(late ? steps : [{ type: 'start' }, ...steps], !late)),
    { numRuns: 150, interruptAfterTimeLimit: 12_000, examples: FAILED_ONCE },
  )
})

test('the random programs reach every outcome', async () => {
  const outcomes = new Set<string>()
  for (const steps of fc.sample(program, { numRuns: 60, seed: 7 })) {
    const env = fakeEnv()
    const model = new LedgerModel(
      (onFailure) =>
        createBus({
          env,
          handlerTimeoutMs: 50,
          maxHandlers: 4,
          onFailure: (failure) => {
            outcomes.add(failure.reason)
            onFailure(failure)
          },
        }),
      env,
    )
    for (const one of steps) {
      model.run(one)
      await env.settle()
    }
    const closing = model.bus.close({ limitMs: 10 })
    await env.advance(200)
    await closing
    if (model.bus.stats().ledger.handled > 0) outcomes.add('handled')
  }
  for (const outcome of [
    'handled',
    'handler-error',
    'handler-timeout',
    'expired',
    'queue-full',
    'unregistered',
    'cancelled',
    'shutdown',
  ]) {
    expect(outcomes).toContain(outcome)
  }
})
