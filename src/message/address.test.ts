import { expect, test } from 'vitest'
import { agentOf, agentTopic } from './address.ts'

test('an agent has the inbox agent.NAME, and the name is read from it', () => {
  expect(agentTopic('pink')).toBe('agent.pink')
  expect(agentOf(agentTopic('team.pink'))).toBe('team.pink')
  expect([agentOf('agents.all'), agentOf('tasks.agent.x'), agentOf('agent')]).toEqual([undefined, undefined, undefined])
})

test.each([[''], ['a b'], ['*'], ['>'], ['a..b'], [undefined], [5], [null]])('the name %j is refused', (name) => {
  expect(() => agentTopic(name as string)).toThrow(expect.objectContaining({ code: 'INVALID_TOPIC' }))
})
