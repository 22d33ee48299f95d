import { expect, test } from 'vitest'
import { describeCliOn } from '../../test/cli/brokers.ts'
import { cli } from '../../test/cli/support.ts'
import { startNats } from '../../test/servers/nats.ts'
import { connectNats } from '../broker/nats/connect.ts'
import { PER_RECORD } from '../log/jetstream/records.ts'

describeCliOn({
  scheme: 'nats',
  start: () => startNats(),
  async damage(server, prefix, offset) {
    await using link = await connectNats(server.url)
    const seq = Math.floor(Number(offset) / PER_RECORD)
    const gone = await link.ask(`$JS.API.STREAM.MSG.DELETE.${prefix}_log_tasks`, JSON.stringify({ seq }))
    expect(gone.json()).toMatchObject({ success: true })
  },
})

test('doctor says what a server of this version can promise, and what the url states', async () => {
  await using server = await startNats()
  expect((await cli(['doctor', server.url])).out).toContain('level process')
  const memory = await cli(['doctor', `${server.url}?storage=memory`])
  expect(memory.out).toContain('level memory')
  expect(memory.out).toMatch(/for more: process: leave storage=memory away/)
})

test('doctor says that a server without JetStream keeps nothing, and what to do', async () => {
  // The account of whoever does not say who he is has none.
  await using server = await startNats('accounts { A { users: [{ user: a, password: a }] } }\nno_auth_user: a')
  const told = await cli(['doctor', server.url])
  expect(told.code).toBe(1)
  expect(told.out).toContain('it cannot keep messages as it is set up')
  expect(told.out).toMatch(/jetstream +off +it keeps nothing/)
  expect(told.out).toMatch(/refused .*JetStream/)
  expect(told.out).toMatch(/for more: enable JetStream/)
  expect(JSON.parse((await cli(['doctor', server.url, '--json'])).out)).toMatchObject({
    ok: false,
    refused: { code: 'BROKER_REFUSED' },
  })
  const published = await cli(['publish', 'a', '1', '--url', server.url])
  expect([published.code, published.err]).toEqual([1, expect.stringContaining('next: change what is named above')])
})

test('a wrong password is a clear failure, in which it does not stand', async () => {
  await using server = await startNats('authorization { user: a, password: right }')
  const url = server.url.replace('nats://', 'nats://a:hunter2@')
  for (const argv of [['stats'], ['doctor']]) {
    const { code, out, err } = await cli([...argv, '--url', url])
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/next: change what is named above/)
    expect(err).not.toContain('hunter2')
  }
})
