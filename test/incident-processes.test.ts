import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { Event } from '../examples/incident/observer.ts'
import { HELP } from '../examples/incident/options.ts'
import type { Summary } from '../examples/incident/summary.ts'
import { type Ended, ROOT, type Running, run, start } from './examples/run.ts'
import { startNats } from './servers/nats.ts'
import { startRedis } from './servers/redis.ts'
import type { Server } from './servers/server.ts'

const MAIN = 'examples/incident/main.ts'
const TASKS = ['critical: Production is down: fix auth', 'low: fix search', 'high: deploy billing', 'review the form']
const QUESTION = 'what is everybody doing?'
const PATIENCE_MS = 90_000

interface Told extends Ended {
  readonly events: readonly Event[]
  readonly summary: Summary
}

/** A process of the swarm that ended by itself: each line of its output is JSON, the last one the summary. */
function told(ended: Ended): Told {
  const lines = ended.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Event | Summary)
  const summary = lines.pop() as Summary
  expect(summary.type).toBe('summary')
  return { ...ended, events: lines as Event[], summary }
}

/** What was reported to those who gave the tasks, in alphabetical order. */
function reports(...all: readonly Told[]): string[] {
  return all
    .flatMap(({ events }) => events)
    .flatMap((event) => (event.type === 'message' && /^you(-\d)?$/.test(event.to) ? [event.text] : []))
    .sort()
}

/** The orders to write code that a process began, in order, from what it had printed when it ended. */
function begun({ out }: Ended): string[] {
  return out
    .split('\n')
    .filter((line) => line.endsWith('}') && line.includes('"to":"coding/'))
    .map((line) => (JSON.parse(line) as { text: string }).text)
}

function parts(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `fix ${name}${index}`)
}

let inMemory: Promise<Told> | undefined
/** What the tasks come to in one process without a broker. */
function alone(): Promise<Told> {
  inMemory ??= run([MAIN, '--json', '--fast', '--memory', ...TASKS, QUESTION]).then(told)
  return inMemory
}

const running = new Set<Running>()
afterAll(() => {
  for (const { child } of running) child.kill('SIGKILL')
})

/** One of the processes of a swarm. */
function process(url: string, agents: string, ...rest: readonly string[]): Running {
  const one = start([MAIN, '--json', '--url', url, '--agents', agents, ...rest], undefined)
  running.add(one)
  void one.ended.then(() => running.delete(one))
  return one
}

/** Interrupts processes as Ctrl-C does, and waits for their ends. */
function interrupted(...processes: readonly Running[]): Promise<Told[]> {
  return Promise.all(
    processes.map(async ({ child, ended }) => {
      child.kill('SIGINT')
      return told(await ended)
    }),
  )
}

/** Of two processes the one that begins to write code first, and the other one. */
function firstToCode(a: Running, b: Running): Promise<readonly [Running, Running]> {
  const begins = async (one: Running, other: Running): Promise<readonly [Running, Running]> => {
    await one.said('"to":"coding/')
    return [one, other]
  }
  return Promise.race([begins(a, b), begins(b, a)])
}

describe.each([
  ['redis', startRedis],
  ['nats', startNats],
] as const)('the incident over %s', { concurrent: true, timeout: PATIENCE_MS }, (_name, startServer) => {
  let server: Promise<Server> | undefined
  const urlOf = async (prefix: string): Promise<string> => {
    server ??= startServer()
    return `${(await server).url}?prefix=${prefix}`
  }
  afterAll(async () => (await server)?.[Symbol.asyncDispose]())

  test('a process that is killed with -9 at work: its tasks are done by another one, and each is reported once', async () => {
    const url = await urlOf('killed')
    const a = process(url, 'pink,red', '--slow')
    const b = process(url, 'pink,red', '--slow')
    const lead = process(url, 'validator,ring,harold')
    await Promise.all([a.said('Here: '), b.said('Here: '), lead.said('Here: ')])
    const wanted = parts('part', 12)
    const giver = process(url, 'none', ...wanted)
    const [victim, survivor] = await firstToCode(a, b)
    victim.child.kill('SIGKILL')
    const lost = begun(await victim.ended)
    const given = told(await giver.ended)
    const [rest, leader] = (await interrupted(survivor, lead)) as [Told, Told]
    expect(given.summary.tasks).toMatchObject({ read: 12, done: 12, failed: 0, left: 0 })
    const texts = reports(given)
    expect(texts).toHaveLength(12)
    expect(new Set(texts).size).toBe(12)
    // What the lost one had in hand was begun anew by the other one, and nothing was left out.
    expect(leader.out).toMatch(/is silent before it was done; .*asked again/)
    const again = lost.filter((text) => begun(rest).includes(text))
    expect(again.length).toBeGreaterThan(0)
    expect(new Set([...lost, ...begun(rest)])).toEqual(new Set(wanted))
    expect(begun(rest)).toHaveLength(new Set(begun(rest)).size)
  })

  test('the same swarm in one process and in four, started in any order: every task is done once, with the same reports', async () => {
    const url = await urlOf('four')
    const giver = process(url, 'none')
    giver.child.stdin.write(`${TASKS.join('\n')}\n`)
    await giver.said('harold is not there now')
    const lead = process(url, 'ring,harold')
    await lead.said('Nobody is there for \\"coding\\"')
    const coders = process(url, 'pink,red', '--fast')
    await coders.said('Nobody is there for \\"agent.validator\\"')
    const validator = process(url, 'validator')
    await giver.said('mended auth')
    giver.child.stdin.end(`${QUESTION}\n`)
    const given = told(await giver.ended)
    expect(given.err).toBe('')
    expect(given.code).toBe(0)
    expect(given.summary.tasks).toMatchObject({ read: 5, done: 5, failed: 0, resumed: 0, left: 0 })
    const others = await interrupted(lead, coders, validator)
    for (const { code, err, summary } of [given, ...others]) {
      expect(err).toBe('')
      expect(summary.ledger.balances).toBe(true)
      expect(code).toBe(summary === given.summary ? 0 : 130)
    }
    expect(others.flatMap(begun).sort()).toEqual(['Production is down: fix auth', 'fix search'])
    const one = told(await run([MAIN, '--json', '--fast', '--url', await urlOf('one'), ...TASKS, QUESTION]))
    expect(one.summary.ledger.balances).toBe(true)
    expect(reports(one)).toEqual(reports(await alone()))
    expect(reports(given)).toEqual(reports(await alone()))
  })

  test('whoever gave the tasks and harold are killed with -9: another harold goes on, and the reports wait for who comes next', async () => {
    const url = await urlOf('lead')
    const workers = process(url, 'pink,red,validator,ring', '--slow')
    const first = process(url, 'harold')
    await Promise.all([workers.said('Here: '), first.said('Here: ')])
    const giver = process(url, 'none', ...['a', 'b', 'c'].map((name) => `review and fix ${name}1 and deploy it`))
    await Promise.all(['a1', 'b1', 'c1'].map((name) => first.said(`"to":"harold","text":"review and fix ${name}`)))
    // Its first stage is done, and kept.
    await workers.said('"to":"coding/')
    giver.child.kill('SIGKILL')
    first.child.kill('SIGKILL')
    await Promise.all([giver.ended, first.ended])
    const second = process(url, 'harold')
    await Promise.all(['a1', 'b1', 'c1'].map((name) => second.said(`deployed ${name} in 3 steps`)))
    const next = told(await process(url, 'none', 'fix last').ended)
    const [, leader] = (await interrupted(workers, second)) as [Told, Told]
    expect(leader.out).toContain('harold goes on with')
    expect(next.summary.tasks).toMatchObject({ read: 1, done: 1, failed: 0, resumed: 3 })
    const texts = reports(next)
    expect(texts).toHaveLength(4)
    for (const name of ['a1', 'b1', 'c1'])
      expect(texts.filter((text) => text.includes(`deployed ${name}`))).toHaveLength(1)
  })

  test('Ctrl-C of a process at work drains it: it finishes what it began, the rest goes elsewhere, and two that give tasks hear of their own', async () => {
    const url = await urlOf('drained')
    const a = process(url, 'pink,red', '--slow')
    const b = process(url, 'pink,red', '--slow')
    const lead = process(url, 'validator,ring,harold')
    await Promise.all([a.said('Here: '), b.said('Here: '), lead.said('Here: ')])
    const givers = [process(url, 'none', ...parts('left', 4)), process(url, 'none', ...parts('right', 4))]
    const [first, second] = await firstToCode(a, b)
    const [drained] = (await interrupted(first)) as [Told]
    const [left, right] = (await Promise.all(givers.map(async ({ ended }) => told(await ended)))) as [Told, Told]
    const [rest] = (await interrupted(second, lead)) as [Told]
    expect(drained.code).toBe(130)
    expect(drained.summary).toMatchObject({ interrupted: true, ledger: { balances: true, failed: 0, dropped: 0 } })
    expect([...begun(drained), ...begun(rest)].sort()).toEqual([...parts('left', 4), ...parts('right', 4)])
    for (const [giver, name] of [
      [left, 'left'],
      [right, 'right'],
    ] as const) {
      expect(giver.summary.tasks).toMatchObject({ read: 4, done: 4, failed: 0, resumed: 0 })
      expect(reports(giver)).toEqual(parts(name, 4).map((text) => `done: fixed ${text.slice(4)}: 2 files, with a test`))
    }
    const names = [left, right].map(({ events }) =>
      events.find((event) => event.type === 'message' && event.to.startsWith('you')),
    )
    expect(names.map((event) => (event?.type === 'message' ? event.to : '')).sort()).toEqual(['you', 'you-2'])
  })
})

test('the commands of the README, which --help shows as well, run as they stand there', {
  timeout: PATIENCE_MS,
}, async () => {
  await using server = await startRedis()
  const at = 'redis://127.0.0.1:6379'
  const commandsIn = (text: string): string[] =>
    text.split('\n').filter((line) => line.includes(`npm start -- --url ${at}`))
  const commands = commandsIn(readFileSync(join(ROOT, 'README.md'), 'utf8'))
  expect(commandsIn(HELP).map((line) => line.trim())).toEqual(commands)
  expect(commands).toHaveLength(3)
  const processes = commands.map((command) => {
    const words = [...command.matchAll(/"([^"]*)"|\S+/g)].map(([word, quoted]) => quoted ?? word)
    const one = start([MAIN, ...words.slice(3).map((word) => word.replace(at, server.url))], undefined)
    running.add(one)
    return one
  })
  const [coders, others, giver] = processes as [Running, Running, Running]
  const { code, out, err } = await giver.ended
  expect(out).toContain('harold → you')
  expect(out).toContain('1 read: 1 done, 0 failed, 0 refused')
  expect(err).toBe('')
  expect(code).toBe(0)
  for (const { child } of [coders, others]) child.kill('SIGINT')
  const ends = await Promise.all([coders.ended, others.ended])
  expect(ends.map((end) => end.out).join('')).toMatch(/harold → coding\/(pink|red) +Production is down/)
  for (const { out: text } of ends)
    for (const line of text.split('\n')) if (/ #/.test(line)) expect(line.length).toBeLessThanOrEqual(100)
})
