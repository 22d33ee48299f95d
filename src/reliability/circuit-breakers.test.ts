import { expect, test } from 'vitest'
import { fakeEnv } from '../testing/fake-env.ts'
import { circuitBreakers } from './circuit-breakers.ts'
import { codeOf, endOf, testContext, testMessage } from './rig.test-d.ts'

const fails = (): never => {
  throw new Error('down')
}

test('each dependency has a circuit of its own, always the same one', async () => {
  const all = circuitBreakers({ failures: 1, env: fakeEnv() })
  await endOf(() => all.get('a').call(fails))
  expect([all.get('a').state, all.get('b').state]).toEqual(['open', 'closed'])
  expect(all.get('a')).toBe(all.get('a'))
  expect(all.list().map(({ name }) => name)).toEqual(['b', 'a'])
})

test('a full set forgets the longest unused circuit at rest, and keeps open ones', async () => {
  const all = circuitBreakers({ failures: 1, limit: 3, env: fakeEnv() })
  await endOf(() => all.get('open').call(fails))
  all.get('a')
  all.get('b')
  all.get('c')
  expect(all.list().map(({ name }) => name)).toEqual(['open', 'b', 'c'])
  expect(all.get('open').state).toBe('open')
})

test('the set is bounded even when every circuit is open', async () => {
  const all = circuitBreakers({ failures: 1, limit: 5, env: fakeEnv() })
  for (let n = 0; n < 100; n++) await endOf(() => all.get(`d${n}`).call(fails))
  expect(all.size).toBe(5)
  expect(all.get('d99').state).toBe('open')
})

test('around handlers there is one circuit per topic, or per whatever is named', async () => {
  const env = fakeEnv()
  const all = circuitBreakers({ failures: 1, env })
  const byTopic = all.middleware()(fails)
  await endOf(() => byTopic(testMessage(env), testContext()))
  expect(await codeOf(() => byTopic(testMessage(env), testContext()))).toBe('CIRCUIT_OPEN')
  const byData = all.middleware((message) => String(message.data))((message) => {
    if (message.data === 'bad') throw new Error('down')
    return 'ok'
  })
  await endOf(() => byData(testMessage(env, 'bad'), testContext()))
  expect(await codeOf(() => byData(testMessage(env, 'bad'), testContext()))).toBe('CIRCUIT_OPEN')
  expect(byData(testMessage(env, 'good'), testContext())).toBe('ok')
})

test('wrong options are refused when the set is made', () => {
  expect(() => circuitBreakers({ limit: 0 })).toThrow(/"limit" is 0/)
  expect(() => circuitBreakers({ failures: 0 })).toThrow(/"failures" is 0/)
  expect(() => circuitBreakers().middleware('topic' as never)).toThrow(/"nameOf" is "topic"; allowed: a function/)
})
