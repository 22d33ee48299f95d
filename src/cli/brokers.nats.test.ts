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
