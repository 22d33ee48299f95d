import { expect, test } from 'vitest'
import { AGENTS } from '../examples/incident/crew.ts'
import { readOptions } from '../examples/incident/options.ts'

test('agents may be divided among processes of a broker, and of nothing else', () => {
  const url = 'redis://127.0.0.1:6379'
  expect(readOptions(['--url', url, '--agents', 'ring, pink']).agents).toEqual(['pink', 'ring'])
  expect(readOptions(['--url', url, '--agents', 'none', 'fix auth']).agents).toEqual([])
  expect(readOptions(['--url', url]).agents).toEqual(AGENTS)
  for (const place of [[], ['--memory'], ['--file', 'a.db'], ['--url', 'sqlite:a.db'], ['--url', 'memory:']]) {
    expect(() => readOptions([...place, '--agents', 'pink,red'])).toThrow(
      /^--agents pink,red: .* all agents work in one process; --url redis/,
    )
    expect(readOptions([...place, '--agents', AGENTS.join()]).agents).toEqual(AGENTS)
  }
})

test('a process with agents and without tasks serves; one without agents waits for tasks', () => {
  const serves = (...args: readonly string[]): boolean =>
    readOptions(['--url', 'nats://127.0.0.1:4222', ...args]).serves
  expect(serves('--agents', 'pink')).toBe(true)
  expect(serves('--agents', 'pink', 'fix auth')).toBe(false)
  expect(serves('--agents', 'none')).toBe(false)
  expect(serves()).toBe(false)
})

test('one place at a time, agents that exist, and no broker out of the environment', () => {
  expect(() => readOptions(['--memory', '--file', 'a.db'])).toThrow('only one of --file, --memory and --url')
  expect(() => readOptions(['--memory', '--url', 'nats://localhost'])).toThrow('only one of --file, --memory and --url')
  expect(() => readOptions(['--url', 'nats://localhost', '--agents', 'pnik'])).toThrow(
    '--agents: there is no agent "pnik"; there are harold, pink, red, validator, ring',
  )
  const before = process.env.SWARMBUS_URL
  process.env.SWARMBUS_URL = 'redis://127.0.0.1:6379'
  try {
    expect(readOptions([]).url).toBe('sqlite:.swarmbus/incident.db')
  } finally {
    if (before === undefined) delete process.env.SWARMBUS_URL
    else process.env.SWARMBUS_URL = before
  }
})
