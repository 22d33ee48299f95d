import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBus } from '../../src/index.ts'
import { startNats } from '../servers/nats.ts'
import { startRedis } from '../servers/redis.ts'
import { freePort, type Server } from '../servers/server.ts'
import { child, faultOf } from './support.ts'

const SECRET = 'hunter2'
let folder: string
let redis: Server
let nats: Server
let urls: readonly string[]

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'swarmbus-tls-'))
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost']
  const files = ['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', 'key.pem', '-out', 'cert.pem']
  execFileSync('openssl', [...request, ...files], { cwd: folder, stdio: 'ignore' })
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const port = await freePort()
  redis = await startRedis({
    ...{ 'tls-port': String(port), 'tls-cert-file': cert, 'tls-key-file': key, 'tls-ca-cert-file': cert },
    ...{ 'tls-auth-clients': 'no', requirepass: SECRET },
  })
  nats = await startNats(`tls { cert_file: "${cert}", key_file: "${key}" }\nauthorization { token: "${SECRET}" }`)
  urls = [`rediss://:${SECRET}@127.0.0.1:${port}`, `tls://${SECRET}@127.0.0.1:${nats.port}`]
})
afterAll(async () => {
  await redis[Symbol.asyncDispose]()
  await nats[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

test.each([0, 1])(
  '[V59] a url for TLS and a password is all it takes, where the authority is known to Node (%i)',
  async (at) => {
    const code = `
    bus.subscribe('work.x', ({ data }) => say('handled ' + data), { group: 'g' })
    say((await bus.publish('work.x', 1, { until: 'handled' })).level)
    say(JSON.stringify(bus.health()))
  `
    const other = await child(urls[at] as string, '{}', code, { NODE_EXTRA_CA_CERTS: join(folder, 'cert.pem') })
    expect(other.lines).toContain('handled 1')
    expect(other.lines).toContain(at === 0 ? 'disk' : 'process')
    expect(other.lines.join()).toContain('"healthy"')
    expect(other.lines.join()).not.toContain(SECRET)
  },
)

test.each([0, 1])(
  'a certificate that nobody vouches for is refused, and never leads to a fallback (%i)',
  async (at) => {
    const fault = await faultOf(openBus(urls[at], { fallback: 'memory:' }))
    expect(fault.code).toBe('BROKER_REFUSED')
    expect(fault.message).toMatch(/certificate/)
    expect(`${fault.stack}${JSON.stringify(fault)}`).not.toContain(SECRET)
  },
)
