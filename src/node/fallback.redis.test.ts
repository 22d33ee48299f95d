import { afterAll, beforeAll, expect, test } from 'vitest'
import { startRedis } from '../../test/servers/redis.ts'
import { freePort, type Server } from '../../test/servers/server.ts'
import type { BackendChoice } from './backends.ts'
import { openBus } from './node.ts'

let server: Server

beforeAll(async () => {
  server = await startRedis({ requirepass: 'hunter2' })
}, 60_000)
afterAll(() => server[Symbol.asyncDispose]())

/** A url at which nobody listens. */
async function nowhere(scheme: string): Promise<string> {
  return `${scheme}://127.0.0.1:${await freePort()}`
}

function choices(): { readonly told: BackendChoice[]; readonly onChosen: (choice: BackendChoice) => void } {
  const told: BackendChoice[] = []
  return { told, onChosen: (choice) => void told.push(choice) }
}

test.each(['redis', 'nats'])(
  '[W20] [WN26] [WN5] a start with unreachable %s and no fallback fails, and is never silently memory',
  async (scheme) => {
    const url = await nowhere(scheme)
    const { told, onChosen } = choices()
    await expect(openBus(url, { onChosen })).rejects.toMatchObject({
      code: 'BROKER_UNREACHABLE',
      message: expect.stringContaining(url.slice(url.indexOf('127'))),
    })
    expect(told).toEqual([{ url, why: 'given' }])
  },
)

test.each(['redis', 'nats'])(
  '[W20] a configured fallback takes the place of unreachable %s, and who listens is told why',
  async (scheme) => {
    const url = await nowhere(scheme)
    const { told, onChosen } = choices()
    await using bus = await openBus(url, { fallback: 'memory:', onChosen })
    expect((await bus.publish('tasks', 1)).level).toBe('memory')
    expect(told).toEqual([
      { url, why: 'given' },
      { url: 'memory:', why: expect.stringMatching(/^fallback: .*127\.0\.0\.1/) },
    ])
  },
)

test('[W20] the fallback may be a broker; its password is shown to nobody', async () => {
  const { told, onChosen } = choices()
  const url = server.url.replace('redis://', 'redis://:hunter2@')
  await using bus = await openBus(await nowhere('nats'), { fallback: `${url}?prefix=fallback`, onChosen })
  expect((await bus.publish('tasks', 1)).level).toBe('disk')
  expect(told[1]?.url).toBe(`${server.url.replace('redis://', 'redis://:***@')}?prefix=fallback`)
})

test('[W20] a broker that answers and refuses is no reason for the fallback', async () => {
  const { told, onChosen } = choices()
  const url = server.url.replace('redis://', 'redis://:wrong@')
  await expect(openBus(url, { fallback: 'memory:', onChosen })).rejects.toMatchObject({ code: 'BROKER_REFUSED' })
  await expect(openBus(server.url, { fallback: 'memory:', onChosen })).rejects.toMatchObject({ code: 'BROKER_REFUSED' })
  expect(told.map((one) => one.why)).toEqual(['given', 'given'])
})

test('[W20] a fallback that cannot be reached either is the fault that is told', async () => {
  const last = await nowhere('redis')
  await expect(openBus(await nowhere('nats'), { fallback: last })).rejects.toMatchObject({
    code: 'BROKER_UNREACHABLE',
    message: expect.stringContaining(last.slice('redis://'.length)),
  })
})

test.each(['kafka://x', 'memory:x', 'sqlite:', 'redis://x?color=red', 7])(
  '[W20] the fallback %s is refused at once, not in the night in which it is needed',
  async (fallback) => {
    await expect(openBus('memory:', { fallback: fallback as string })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  },
)

test('[W20] a fallback beside a log that was made already would have no effect, and is refused', async () => {
  const { memoryLog } = await import('../log/memory.ts')
  await using log = memoryLog()
  await expect(openBus(log, { fallback: 'memory:' })).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    details: { field: 'fallback' },
  })
})

test.each([
  ['ws://x', 'UNSUPPORTED'],
  ['wss://x', 'UNSUPPORTED'],
  ['http://x', 'UNSUPPORTED'],
  ['https://x', 'UNSUPPORTED'],
  ['kafka://x', 'INVALID_OPTION'],
  ['x', 'INVALID_OPTION'],
])('[C63] the url decides on the transport: %s is %s', async (url, code) => {
  await expect(openBus(url)).rejects.toMatchObject({ code })
})
