import { expect, test } from 'vitest'
import { startNats } from '../../../test/servers/nats.ts'
import { connectNats } from './connect.ts'
import type { NatsLink } from './link.ts'
import { type NatsProof, natsProof } from './proof.ts'

const reasonOf = (proof: NatsProof, setting: string) => proof.reasons.find((reason) => reason.setting === setting)

test('a 2.9 with files proves that messages survive its crash, not more, and says why', async () => {
  await using server = await startNats('max_payload: 65536')
  await using link = await connectNats(server.url)
  const proof = await natsProof(link)
  expect(proof).toMatchObject({ version: '2.9.10', level: 'process', maxPayloadBytes: 65_536 })
  expect(proof.refused).toBeUndefined()
  expect(proof.serverId).toMatch(/^N[A-Z0-9]{55}$/)
  expect(reasonOf(proof, 'sync_interval')?.says).toContain('sync_interval: always')
  expect(reasonOf(proof, 'max_storage')?.value).toBe('none')
  const stated = await natsProof(link, { syncAlways: true })
  expect([stated.level, reasonOf(stated, 'sync_interval')?.says]).toEqual([
    'process',
    'always is stated, but this version does not have it; use nats-server 2.10 or later',
  ])
  expect((await natsProof(link, { storage: 'memory' })).level).toBe('memory')
})

test('several copies need a cluster: a server that is in none is refused with what to do', async () => {
  await using server = await startNats()
  await using link = await connectNats(server.url)
  const { refused, level } = await natsProof(link, { replicas: 3 })
  expect([refused?.code, level]).toEqual(['BROKER_REFUSED', 'memory'])
  expect(refused?.message).toMatch(/in no cluster: 3 replicas need 3 servers/)
})

test('from 2.10 on, what is stated about the disk counts', async () => {
  await using server = await startNats()
  await using link = await connectNats(server.url)
  // No such server is to be had here: the version is all that differs.
  const newer: NatsLink = { ...link, version: [2, 10, 0], isAtLeast: (major, minor) => major === 2 && minor <= 10 }
  expect((await natsProof(newer, { syncAlways: true })).level).toBe('disk')
  expect((await natsProof(newer)).level).toBe('process')
})

test('without JetStream it says what to start, and with limits which they are', async () => {
  await using server = await startNats(`
    accounts {
      plain { users: [{ user: plain, password: p }] }
      small { users: [{ user: small, password: p }], jetstream { max_file: 1000000, max_streams: 3 } }
    }`)
  await using plain = await connectNats(server.url.replace('//', '//plain:p@'))
  const refused = await natsProof(plain)
  expect(refused.refused).toMatchObject({ code: 'BROKER_REFUSED' })
  expect(refused.refused?.message).toMatch(/JetStream/)
  expect(refused.level).toBe('memory')
  await using small = await connectNats(server.url.replace('//', '//small:p@'))
  const limited = await natsProof(small)
  expect([reasonOf(limited, 'max_storage')?.value, reasonOf(limited, 'max_streams')?.value]).toEqual(['1000000', '3'])
})

test('wrong options are refused', async () => {
  await using server = await startNats()
  await using link = await connectNats(server.url)
  await expect(natsProof(link, { replicas: 0 })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
})
