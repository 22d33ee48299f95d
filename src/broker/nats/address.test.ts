import { expect, test } from 'vitest'
import { parseNatsUrl } from './address.ts'

test.each([
  ['nats://host', { servers: ['host:4222'], tls: false }],
  ['nats://host/', { servers: ['host:4222'], tls: false }],
  ['TLS://host:1', { servers: ['host:1'], tls: true }],
  ['nats://a:1,b,[::1]:2,[::1]', { servers: ['a:1', 'b:4222', '[::1]:2', '[::1]:4222'], tls: false }],
  ['nats://me:p%40s%3As@a,b:2', { servers: ['a:4222', 'b:2'], tls: false, user: 'me', pass: 'p@s:s' }],
  ['nats://me:@a', { servers: ['a:4222'], tls: false, user: 'me', pass: '' }],
  ['nats://to%2Fken@a', { servers: ['a:4222'], tls: false, token: 'to/ken' }],
])('%s is read', (url, address) => {
  expect(parseNatsUrl(url)).toEqual(address)
})

test.each([
  '',
  'host',
  'http://host',
  'nats://',
  'nats://a,,b',
  'nats://a b',
  'nats://a:port',
  'nats://a:0',
  'nats://a:99999',
  'nats://secret%@a',
  'nats://secret@a/path',
  'nats://secret:secret@a?x=1',
  5 as unknown as string,
])('%s is refused, and no secret is shown', (url) => {
  let error: unknown
  try {
    parseNatsUrl(url)
  } catch (thrown) {
    error = thrown
  }
  expect(error).toMatchObject({ code: 'INVALID_OPTION' })
  expect(JSON.stringify(error)).not.toContain('secret')
})
