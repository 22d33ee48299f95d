import { expect, test } from 'vitest'
import { declare, startKinds } from '../../../../test/support/kinds.ts'
import { shortTermMemory } from './short-term.ts'

test('[W73] a short-term memory adds, tells and clears, each session for itself', async () => {
  await using run = await startKinds([declare('notes', 'memory short_term'), declare('mind', 'llm echo')])
  const asks = run.swarm.component('mind')
  const ask = (action: string, session: string, inputs = {}) => asks.request('notes', { action, inputs }, { session })
  expect(await ask('add', 'a', { text: 'milk' })).toBe('remembered')
  await ask('add', 'a', { text: 'bread' })
  await ask('add', 'b', { text: 'nails' })
  expect(await ask('data', 'a')).toEqual([
    { role: 'user', text: 'milk' },
    { role: 'user', text: 'bread' },
  ])
  await ask('clear', 'a')
  expect(await ask('data', 'a')).toEqual([])
  expect(await ask('data', 'b')).toEqual([{ role: 'user', text: 'nails' }])
  await expect(ask('burn', 'a')).rejects.toThrow(/no action "burn"; there are: add, data, clear/)
})

test('[W73] it keeps the newest turns of the newest sessions', () => {
  const memory = shortTermMemory({ mostTurns: 2, mostSessions: 2 })
  for (const text of ['1', '2', '3']) void memory.add('a', [{ role: 'user', text }])
  expect(memory.data('a')).toEqual([
    { role: 'user', text: '2' },
    { role: 'user', text: '3' },
  ])
  void memory.add('b', [{ role: 'user', text: 'b' }])
  void memory.add('a', [{ role: 'user', text: '4' }])
  void memory.add('c', [{ role: 'user', text: 'c' }])
  expect(memory.data('b')).toEqual([])
  expect(memory.data('a')).toHaveLength(2)
})

test('[W73] what is routed to a memory is remembered, and goes nowhere', async () => {
  await using run = await startKinds([
    declare('notes', 'memory short_term'),
    declare('mind', 'llm echo', {}, ['notes']),
  ])
  const { delivered } = await run.swarm.component('mind').emit('response_generated', 'a fact', { session: 'a' })
  expect(delivered).toEqual(['notes'])
  await run.swarm.idle()
  expect(await run.swarm.component('mind').request('notes', { action: 'data' }, { session: 'a' })).toEqual([
    { role: 'user', text: 'a fact' },
  ])
})
