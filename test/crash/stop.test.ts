import { describe, expect, test } from 'vitest'
import { isBusError, openBus } from '../../src/index.ts'
import { findings } from './checker.ts'
import type { Event } from './events.ts'
import { look, place, range, run, start, unacked } from './run.ts'

const LIMIT_MS = 120_000

const notes = (said: readonly Event[]): readonly string[] =>
  said.flatMap((one) => (one.type === 'note' ? [one.text] : []))
const count = (said: readonly Event[], type: Event['type']): number => said.filter((one) => one.type === type).length

describe('a process that is told to end', () => {
  test('[I12] [V35] [W19] SIGTERM with 1 000 messages in hand: new work is refused with typed errors, exit 0 in time, nothing is lost', {
    timeout: LIMIT_MS,
  }, async () => {
    using at = place()
    const { file } = at
    const all = range(1, 1_000)
    const publisher = await run({ file, publish: all, groups: [], pipeline: 64 })
    expect(publisher.how).toBe(0)
    // Handlers that end in time, …
    await using swift = start({ file, publish: [], groups: ['a'], drains: true, handleMs: 150, drainMs: 30_000 })
    await swift.until((said) => count(said, 'start') >= 200)
    const begunMs = performance.now()
    swift.process.kill('SIGTERM')
    expect(await swift.ended).toBe(0)
    expect(performance.now() - begunMs).toBeLessThan(30_000)
    expect(
      notes(swift.said)
        .filter((text) => text.startsWith('refused'))
        .toSorted(),
    ).toEqual(['refused NOT_RUNNING', 'refused NOT_RUNNING'])
    // … and handlers that do not: they are given back, and begin again with the next process.
    await using slow = start({ file, publish: [], groups: ['a'], drains: true, handleMs: 600_000, drainMs: 200 })
    await slow.until((said) => count(said, 'start') >= 30)
    slow.process.kill('SIGTERM')
    expect(await slow.ended).toBe(0)
    expect(count(slow.said, 'effect')).toBe(0)
    const report = JSON.parse(
      notes(slow.said)
        .find((text) => text.startsWith('drained '))
        ?.slice(8) ?? 'null',
    ) as unknown
    expect(report).toMatchObject({ abandoned: count(slow.said, 'start') })
    const last = await run({ file, publish: [], groups: ['a'] })
    expect(last).toMatchObject({ how: 0, errors: '' })
    const history: readonly Event[] = [...publisher.said, ...swift.said, ...slow.said, ...last.said]
    expect(findings(history, await look(file), { groups: ['a'], inOrder: true })).toEqual([])
    // What was given back counts as no attempt.
    const given = new Set(slow.said.flatMap((one) => (one.type === 'start' ? [`${one.n} ${one.attempt}`] : [])))
    const again = last.said.flatMap((one) => (one.type === 'start' ? [`${one.n} ${one.attempt}`] : []))
    expect([...given].filter((one) => !again.includes(one))).toEqual([])
  })

  test('[I12] SIGTERM while 64 publishes are under way: each is acknowledged or refused, and the file says the same', {
    timeout: LIMIT_MS,
  }, async () => {
    using at = place()
    const all = range(1, 2_000)
    await using child = start({ file: at.file, publish: all, groups: ['a', 'b'], pipeline: 64, drains: true })
    await child.until((said) => count(said, 'ack') >= 300)
    child.process.kill('SIGTERM')
    expect(await child.ended).toBe(0)
    const { said } = child
    expect(count(said, 'ack') + count(said, 'refused')).toBe(count(said, 'try'))
    for (const one of said) if (one.type === 'refused') expect(one.code).toMatch(/^(NOT_RUNNING|BUS_CLOSED)$/)
    const again = await run({ file: at.file, publish: unacked(all, said), groups: ['a', 'b'], pipeline: 16 })
    expect(again).toMatchObject({ how: 0, errors: '' })
    const final = await look(at.file)
    expect(findings([...said, ...again.said], final, { groups: ['a', 'b'], inOrder: true })).toEqual([])
    expect(final.stored).toHaveLength(all.length)
  })
})

describe('a process that is stopped and goes on', () => {
  test('[I14] SIGSTOP for longer than a lease: nothing is handed twice, a second opener is refused with its pid', {
    timeout: LIMIT_MS,
  }, async () => {
    using at = place()
    const { file } = at
    const all = range(1, 300)
    const orders = { file, publish: all, groups: ['a', 'b'], pipeline: 8, handleMs: 20, ackWaitMs: 300 }
    await using child = start(orders)
    await child.until((said) => count(said, 'effect') >= 50)
    child.process.kill('SIGSTOP')
    const opened = await openBus(`sqlite:${file}`).then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(isBusError(opened, 'STORE_LOCKED')).toBe(true)
    expect(opened).toMatchObject({ details: { pid: child.process.pid } })
    expect(String(opened)).toContain(String(child.process.pid))
    // Five leases long; the time itself is what is tested.
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    child.process.kill('SIGCONT')
    expect(await child.ended).toBe(0)
    expect(child.errors()).toBe('')
    expect(findings(child.said, await look(file), { groups: ['a', 'b'], inOrder: true })).toEqual([])
    const starts = child.said.flatMap((one) => (one.type === 'start' ? [`${one.group} ${one.n} ${one.attempt}`] : []))
    expect(starts.filter((one, index) => starts.indexOf(one) !== index)).toEqual([])
  })
})
