import { expect, test } from 'vitest'
import { parseRedisUrl } from './address.ts'
import { redirection } from './topology.ts'

test('a URL of one server says where it is, who asks, and which database', () => {
  expect(parseRedisUrl('redis://localhost')).toMatchObject({
    ...{ kind: 'single', tls: false, database: 0, shown: 'redis://localhost:6379' },
    places: [{ host: 'localhost', port: 6379 }],
  })
  expect(parseRedisUrl('rediss://me:p%40ss%2Fword@[::1]:7000/12')).toMatchObject({
    ...{ kind: 'single', tls: true, username: 'me', password: 'p@ss/word', database: 12 },
    ...{ places: [{ host: '::1', port: 7000 }], shown: 'rediss://[::1]:7000/12' },
  })
  expect(parseRedisUrl('redis://:word@h')).toMatchObject({ password: 'word' })
  expect(parseRedisUrl('redis://:word@h').username).toBeUndefined()
})

test('URLs of sentinels and clusters name several servers', () => {
  expect(parseRedisUrl('redis+sentinel://a,b:5/swarm')).toMatchObject({
    ...{ kind: 'sentinel', master: 'swarm', shown: 'redis+sentinel://a:26379,b:5/swarm' },
    places: [
      { host: 'a', port: 26_379 },
      { host: 'b', port: 5 },
    ],
  })
  expect(parseRedisUrl('rediss+cluster://u:p@a:1,b:2')).toMatchObject({
    ...{ kind: 'cluster', tls: true, username: 'u', password: 'p', shown: 'rediss+cluster://a:1,b:2' },
    places: [
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
    ],
  })
})

test('what is shown of a URL, and what a refusal says, has neither user nor password', () => {
  expect(parseRedisUrl('redis://me:secret@h:1').shown).toBe('redis://h:1')
  for (const url of [
    'redis://me:secret@h:x',
    'redis://me:secret@h/db',
    'amqp://me:secret@h',
    'redis://me:secret@a,b',
  ]) {
    expect(() => parseRedisUrl(url)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    expect(() => parseRedisUrl(url)).not.toThrow(/secret|me:/)
  }
})

test('a redirection names a node; one without a host means the host that was asked', () => {
  const asked = { host: '10.0.0.1', port: 1 }
  expect(redirection('MOVED 3999 127.0.0.1:6381', asked)).toEqual({
    slot: 3_999,
    place: { host: '127.0.0.1', port: 6_381 },
  })
  expect(redirection('ASK 1 ::1:6381', asked)?.place).toEqual({ host: '::1', port: 6_381 })
  expect(redirection('MOVED 1 :6381', asked)?.place).toEqual({ host: '10.0.0.1', port: 6_381 })
  expect(redirection('ERR something else', asked)).toBeUndefined()
})
