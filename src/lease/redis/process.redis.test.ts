import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { MACHINE_MS } from '../../../test/machine.ts'
import { startRedis } from '../../../test/servers/redis.ts'
import type { Server } from '../../../test/servers/server.ts'
import { connectRedis } from '../../broker/redis/connect.ts'
import { redisLeases } from './redis.ts'

// Real processes at one server. What they are told and what they say are lines of text.

let server: Server
beforeAll(async () => {
  server = await startRedis({ appendonly: 'no' })
})
afterAll(() => server[Symbol.asyncDispose]())

const sourceOf = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href)

interface Child {
  readonly process: ChildProcess
  /** The next line that it prints; rejects when it ends first. */
  line(): Promise<string>
  tell(text: string): void
}

/** Runs the code in a process of its own, with `link`, `leases`, `line()` and `say()`. */
function run(prefix: string, code: string): Child {
  const program = `
    import { createInterface } from 'node:readline'
    import { connectRedis } from ${sourceOf('../../broker/redis/connect.ts')}
    import { redisLeases } from ${sourceOf('./redis.ts')}
    const say = (text) => process.stdout.write(text + '\\n')
    const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
    const line = async () => (await lines.next()).value
    const link = await connectRedis(${JSON.stringify(server.url)})
    const leases = redisLeases(link, { prefix: ${JSON.stringify(prefix)} })
    ${code}
    await leases[Symbol.asyncDispose]()
    await link[Symbol.asyncDispose]()
    process.stdin.destroy()
  `
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ended = once(child, 'close')
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return {
    process: child,
    async line() {
      const { value, done } = await lines.next()
      if (done === true) throw new Error(`the child ended: ${String(await ended)}`)
      return value
    },
    tell: (text) => void child.stdin.write(`${text}\n`),
  }
}

test('[I15] processes that compete for turns are never owners at once, and tokens rise', {
  timeout: 60_000,
}, async () => {
  // Each turn puts a mark down and finds it undisturbed when it takes it up.
  const code = `
    const tokens = []
    for (let round = 0; round < 40; round++) {
      const lease = await leases.hold('jobs', { ttlMs: 30000 })
      if ((await link.command(undefined, ['INCR', 'turns:inside'])) !== 1) throw new Error('somebody else is inside')
      await new Promise((resolve) => setTimeout(resolve, round % 3))
      if ((await link.command(undefined, ['DECR', 'turns:inside'])) !== 0) throw new Error('somebody else was inside')
      await link.command(undefined, ['RPUSH', 'turns:tokens', String(lease.token)])
      if (!(await lease.release())) throw new Error('lost it')
    }
    say('done')
  `
  const children = [run('turns', code), run('turns', code), run('turns', code)]
  expect(await Promise.all(children.map((child) => child.line()))).toEqual(['done', 'done', 'done'])
  await using link = await connectRedis(server.url)
  const said = (await link.command(undefined, ['LRANGE', 'turns:tokens', '0', '-1'])) as Buffer[]
  const tokens = said.map((text) => Number(String(text)))
  expect(tokens).toHaveLength(120)
  expect(tokens).toEqual(tokens.toSorted((one, two) => one - two))
  expect(new Set(tokens).size).toBe(120)
})

test('who waits gets the lease of a process that was killed when its time is over', { timeout: 30_000 }, async () => {
  const child = run(
    'killed',
    `const lease = await leases.hold('jobs', { ttlMs: 1000 }); say(String(lease.token)); await line()`,
  )
  const token = Number(await child.line())
  await using link = await connectRedis(server.url)
  await using leases = redisLeases(link, { prefix: 'killed' })
  const next = leases.hold('jobs', { ttlMs: 60_000 })
  child.process.kill('SIGKILL')
  const killedMs = performance.now()
  const lease = await next
  expect(performance.now() - killedMs).toBeLessThan(1_000 + 1_000 + MACHINE_MS)
  expect(lease.token).toBeGreaterThan(token)
})

test('[I15] a process that slept through the end of its lease knows it lost it before it does anything else', {
  timeout: 30_000,
}, async () => {
  const code = `
    const lease = await leases.hold('jobs', { ttlMs: 500 })
    say(String(lease.token))
    await line()
    say([lease.signal.aborted, lease.leftMs, await lease.renew(), await lease.release()].join())
  `
  const child = run('slept', code)
  const token = Number(await child.line())
  child.process.kill('SIGSTOP')
  await using link = await connectRedis(server.url)
  await using leases = redisLeases(link, { prefix: 'slept' })
  const lease = await leases.hold('jobs', { ttlMs: 60_000 })
  expect(lease.token).toBeGreaterThan(token)
  child.tell('go on')
  child.process.kill('SIGCONT')
  expect(await child.line()).toBe('true,0,false,false')
  expect(await leases.owner('jobs')).toBe(lease.token)
})
