import { expect, test } from 'vitest'
import { openBus } from '../../src/index.ts'
import { veritasKeptCrashCases } from './cases/veritas-kept-crash.ts'
import { numbers } from './support/cortex-veritas.ts'
import { BACKENDS, child, file, until } from './support/kept.ts'

/** Fewer than make a second commit behind a running one worth it: so an answer says that what began before it is kept, too. */
const AGENTS = 7

/** Agents, which say what they handle and what is surely acknowledged; at the `killAt`-th handling the process kills itself. */
const HANDLE = (killAt: number): string => `
  const { subscribe } = await import('node:diagnostics_channel')
  subscribe('swarmbus.message.acked', ({ message }) => say('acked ' + message.data.n))
  let handled = 0
  for (let agent = 0; agent < ${AGENTS}; agent++) {
    bus.register('a' + agent, { handler: async ({ data }, context) => {
      // Kept with the next commit, and with it that this handler has begun.
      await context.bus.publish('progress.done', data.n)
      say('handled ' + data.n + ' ' + agent + ' ' + context.attempt)
      if (++handled === ${killAt}) process.kill(process.pid, 'SIGKILL')
    } })
  }
`

interface Handled {
  readonly n: number
  readonly agent: number
  readonly attempt: number
}

function handledIn(lines: readonly string[]): Handled[] {
  return lines.flatMap((line) => {
    const [what, n, agent, attempt] = line.split(' ')
    return what === 'handled' ? [{ n: Number(n), agent: Number(agent), attempt: Number(attempt) }] : []
  })
}

function ackedIn(lines: readonly string[]): Set<number> {
  return new Set(lines.filter((line) => line.startsWith('acked ')).map((line) => Number(line.slice(6))))
}

async function accept(path: string, count: number): Promise<void> {
  const bus = await openBus(`sqlite:${path}`)
  const acks = numbers(count).map((n) => {
    bus.declare(`a${n % AGENTS}`)
    return bus.send(`a${n % AGENTS}`, { n }, { session: `of a${n % AGENTS}` })
  })
  for (const { level } of await Promise.all(acks)) expect(level).toBe('disk')
  await bus.close()
}

veritasKeptCrashCases(BACKENDS)

test('[V61] [V62] [I1] [I4] 1 000 accepted, killed with -9 after 100 handled, restarted: all handled, in order, few twice, and marked', {
  timeout: 120_000,
}, async () => {
  const path = file()
  await accept(path, 1_000)
  const first = child(path, '{}', HANDLE(100))
  expect(await first.ended).toBe('SIGKILL')
  const before = handledIn(first.lines)
  expect(before).toHaveLength(100)

  const second = child(
    path,
    '{}',
    `${HANDLE(100_000)}
    while ((await bus.channels()).reduce((sum, { ledger }) => sum + ledger.acked, 0) < 1000) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await bus.close()
    say('done')`,
  )
  await second.said('done')
  const after = handledIn(second.lines)
  const all = [...before, ...after]
  expect(new Set(all.map((one) => one.n)).size).toBe(1_000)

  // In order for each agent: what is handled again is handled again in order, too.
  for (const agent of numbers(AGENTS)) {
    const own = after.filter((one) => one.agent === agent).map((one) => one.n)
    expect(own).toEqual(own.toSorted((a, b) => a - b))
    const own1 = before.filter((one) => one.agent === agent).map((one) => one.n)
    expect(own1).toEqual(own1.toSorted((a, b) => a - b))
  }
  const twice = after.filter((one) => before.some((earlier) => earlier.n === one.n))
  const acked = ackedIn(first.lines)
  expect(twice.filter((one) => acked.has(one.n))).toEqual([])
  expect(twice.length + acked.size).toBeLessThanOrEqual(100 + AGENTS)
  expect(twice.every((one) => one.attempt > 1)).toBe(true)
  // Only what had begun in the first life is marked.
  expect(after.filter((one) => one.attempt > 1).length).toBeLessThanOrEqual(AGENTS)
})

test('[V61] [I4] a message is redelivered, marked, for as long as its handler does not survive it', {
  timeout: 60_000,
}, async () => {
  const path = file()
  await accept(path, 1)
  const attempts: number[] = []
  for (const _ of numbers(3)) {
    const one = child(path, '{}', HANDLE(1))
    expect(await one.ended).toBe('SIGKILL')
    attempts.push(...handledIn(one.lines).map(({ attempt }) => attempt))
  }
  const last = child(path, '{}', HANDLE(2))
  await last.said('acked 0')
  await last.kill()
  attempts.push(...handledIn(last.lines).map(({ attempt }) => attempt))
  expect(attempts).toEqual([1, 2, 3, 4])
})

test('[V61] [I1] what was accepted while nobody was there survives the death of its publisher', async () => {
  const path = file()
  const publisher = child(
    path,
    '{}',
    `bus.declare('a0')
    for (let n = 0; ; n++) { await bus.send('a0', { n }, { session: 's' }); say('accepted ' + n) }`,
  )
  await publisher.said('accepted 50')
  await publisher.kill()
  const accepted = publisher.lines.filter((line) => line.startsWith('accepted')).length
  const bus = await openBus(`sqlite:${path}`)
  const got: number[] = []
  bus.register('a0', { handler: ({ data }) => void got.push((data as { n: number }).n) })
  await until(() => got.length >= accepted, 'what was accepted')
  await bus.close()
  expect(got.slice(0, accepted)).toEqual(numbers(accepted))
  // At most the one that was on its way: kept, but not answered.
  expect(got.length - accepted).toBeLessThanOrEqual(1)
})
