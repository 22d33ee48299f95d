import { expect, test } from 'vitest'
import { openBus } from '../../src/index.ts'
import { type Delivery, type MessageLog, memoryLog } from '../../src/log/index.ts'
import { isSuspicious, mustBeAlone, Trials } from '../../src/worker/trials.ts'

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => void setImmediate(resolve))
}

test('trials start in the order of coming: together, or alone when nothing else is on trial', async () => {
  const trials = new Trials()
  const log: string[] = []
  const enter = (name: string, alone: boolean) => {
    const trial = trials.enter(alone)
    void trial.turn.then(() => log.push(name))
    return trial
  }
  const [a, b] = [enter('a', false), enter('b', false)]
  const [c, d, e, f] = [enter('c', true), enter('d', true), enter('e', false), enter('f', false)]
  await turns()
  expect(log).toEqual(['a', 'b'])
  a.end()
  await turns()
  expect(log).toEqual(['a', 'b'])
  b.end()
  b.end()
  await turns()
  expect(log).toEqual(['a', 'b', 'c'])
  // Ended before its turn: it never comes.
  d.end()
  c.end()
  await turns()
  expect(log).toEqual(['a', 'b', 'c', 'e', 'f'])
  e.end()
  f.end()
  const last = enter('g', true)
  await turns()
  expect(log.at(-1)).toBe('g')
  last.end()
})

test('a message is suspicious after a crash in its handler, and alone from its third or its last attempt on', () => {
  const one = (suspect: boolean, attempt: number): Delivery => ({ suspect, attempt }) as Delivery
  expect([one(false, 3), one(true, 1), one(true, 2)].map(isSuspicious)).toEqual([false, false, true])
  expect([2, 3, 4].map((attempt) => mustBeAlone(one(true, attempt), 10))).toEqual([false, true, true])
  expect([2, 3].map((attempt) => mustBeAlone(one(true, attempt), 2))).toEqual([true, true])
})

/** A log as after a crash: what it hands out is suspect, and begins when the gate opens. */
function afterCrash(log: MessageLog, begun: () => Promise<boolean>): MessageLog {
  return {
    ...log,
    consume(stream, group, options) {
      const source = log.consume(stream, group, options)
      return {
        async *[Symbol.asyncIterator]() {
          for await (const one of source) {
            const { type, offset, message, storedAt, note, dueInMs } = one
            yield {
              ...{ type, stream, group, offset, message, storedAt, note, dueInMs, attempt: 2, suspect: true },
              begin: begun,
              settle: (as, along) => one.settle(as, along),
              nack: (how) => one.nack(how),
              extend: (ms) => one.extend(ms),
            }
          }
        },
      }
    },
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  }
}

test('[I12] a message that is given back while its beginning is being kept, or while it waits for its trial, is not handled after all', async () => {
  await using log = memoryLog()
  const gate = Promise.withResolvers<boolean>()
  let begins = 0
  const bus = await openBus(
    afterCrash(log, () => {
      begins++
      return gate.promise
    }),
    { defaults: { retry: { attempts: 2 } } },
  )
  const handled: unknown[] = []
  bus.subscribe('work.a', ({ data }) => void handled.push(data), { group: 'g', concurrency: 8 })
  for (let n = 0; n < 3; n++) await bus.publish('work.a', n)
  await turns()
  expect(begins).toBe(1)
  const closing = bus.close({ limitMs: 0 })
  gate.resolve(true)
  expect(await closing).toMatchObject({ abandoned: 3 })
  await turns()
  expect(handled).toEqual([])
  const [info] = await log.groups('work/normal')
  expect(info).toMatchObject({ pending: 3, leased: 0, acked: 0 })
})
