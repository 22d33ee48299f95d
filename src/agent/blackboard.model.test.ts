import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { BusError } from '../kit/errors.ts'
import type { Entry, Gap, MessageLog } from '../log/log.ts'
import { memoryLog } from '../log/memory.ts'
import { type Blackboard, openBlackboard } from './blackboard.ts'
import type { BoardChange } from './board-fold.ts'

/** The board as it ought to be. */
interface Model {
  readonly values: Map<string, { value: number; version: number }>
  version: number
}

const KEYS = ['a', 'b', 'c', 'd']
const step = fc.record({
  type: fc.constantFrom('write', 'write', 'write', 'delete', 'reopen', 'burst'),
  who: fc.nat(2),
  key: fc.constantFrom(...KEYS),
  value: fc.nat(9),
  /** The version that is expected: none, the right one, an old one, or "does not exist". */
  expect: fc.constantFrom('any', 'any', 'now', 'old', 'none'),
})

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** The version that a step asks for. */
function expectOf({ key, expect: which }: Step, model: Model): { readonly expect?: number } {
  const now = model.values.get(key)?.version ?? 0
  if (which === 'any') return {}
  return { expect: which === 'now' ? now : which === 'old' ? Math.max(0, now - 1) : 0 }
}

/** What a step does to the model: the version that is told of a conflict, or undefined when it is carried out. */
function apply(
  { type, key, value }: Step,
  { expect: wanted }: { readonly expect?: number },
  model: Model,
): number | undefined {
  const now = model.values.get(key)?.version ?? 0
  if (wanted !== undefined && wanted !== now) return now
  if (type === 'write') model.values.set(key, { value, version: ++model.version })
  else if (model.values.delete(key)) model.version++
  return undefined
}

async function caughtUp(boards: readonly Blackboard[], version: number): Promise<void> {
  while (boards.some((board) => board.stats().version < version)) {
    await new Promise<void>((resolve) => void setImmediate(resolve))
  }
}

/** A log that shows what is stored only in bites, so that slow readers meet holes that others have trimmed. */
function slow(log: MessageLog, turns: number): MessageLog {
  return {
    ...log,
    read: (stream, options) => ({
      async *[Symbol.asyncIterator](): AsyncGenerator<Entry | Gap> {
        if (options?.follow !== true) {
          yield* log.read(stream, options)
          return
        }
        const { follow: _live, signal, after: start, ...range } = options
        let after = start
        while (!signal?.aborted) {
          for (let turn = 0; turn < turns; turn++) await new Promise<void>((resolve) => void setImmediate(resolve))
          const page: (Entry | Gap)[] = []
          for await (const one of log.read(stream, { ...range, ...(after === undefined ? {} : { after }) }))
            page.push(one)
          for (const one of page.slice(0, 3)) {
            after = one.type === 'gap' ? one.to : one.offset
            yield one
          }
        }
      },
    }),
  }
}

test('boards on one log agree with a simple map, through conflicts, compactions, restarts and slow readers', {
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 60 }),
      fc.integer({ min: 1, max: 12 }),
      async (steps, compactAfter) => {
        await using log = memoryLog()
        const open = (who: number): Promise<Blackboard> =>
          openBlackboard(who === 2 ? slow(log, 3) : log, { compactAfter, agent: `a${who}` })
        const boards = [await open(0), await open(1), await open(2)]
        const seen: BoardChange[][] = [[], [], []]
        const watch = (who: number): void => void boards[who]?.watch('', (change) => seen[who]?.push(change))
        for (const who of [0, 1, 2]) watch(who)
        const model: Model = { values: new Map(), version: 0 }
        for (const one of steps) {
          // The slow one only looks on: it may learn of its own writes too late to know what came of them.
          const board = boards[one.who % 2] as Blackboard
          if (one.type === 'reopen') {
            await caughtUp(boards.slice(0, 2), model.version)
            await board[Symbol.asyncDispose]()
            boards[one.who % 2] = await open(one.who % 2)
            watch(one.who % 2)
          } else if (one.type === 'burst') {
            const burst = [0, 1, 2, 3].map((value) => ({
              ...one,
              type: 'write' as const,
              value,
              expect: 'any' as const,
            }))
            for (const each of burst) apply(each, {}, model)
            await Promise.all(burst.map(({ key, value }) => board.write(key, value)))
          } else {
            const asked = expectOf(one, model)
            const existed = model.values.has(one.key)
            const conflict = apply(one, asked, model)
            const answer = await (one.type === 'write'
              ? board.write(one.key, one.value, asked).then(({ version }) => version)
              : board.delete(one.key, asked)
            ).catch((error: unknown) => (error as BusError).details.actual)
            const carriedOut = one.type === 'write' ? model.version : existed
            expect(answer).toBe(conflict === undefined ? carriedOut : conflict)
          }
        }
        await caughtUp(boards, model.version)
        const wanted = [...model.values].toSorted().map(([key, { value, version }]) => [key, value, version])
        const late = await open(0)
        for (const board of [...boards, late]) {
          expect(board.list().map(({ key, value, version }) => [key, value, version])).toEqual(wanted)
          expect(board.stats().version).toBe(model.version)
        }
        // Whoever was there for all of it heard the same; the slow one may have been told the sum of several changes.
        const told = seen.map((changes) => changes.map(({ type, key, version }) => `${version} ${type} ${key}`))
        expect(told[0]).toEqual(told[1])
        expect(new Set(told[0]).size).toBe(model.version)
        const known = new Map<string, unknown>()
        for (const { type, key, value } of seen[2] ?? []) {
          if (type === 'written') known.set(key, value)
          else known.delete(key)
        }
        expect([...known].toSorted()).toEqual(wanted.map(([key, value]) => [key, value]))
        const versions = seen[2]?.map(({ version }) => version) ?? []
        expect(versions).toEqual(versions.toSorted((a, b) => a - b))
        for (const board of [...boards, late]) await board[Symbol.asyncDispose]()
        const { count = 0 } = (await log.streams('blackboard'))[0] ?? {}
        expect(count).toBeLessThan(6 * (compactAfter + 12))
      },
    ),
    { numRuns: 150 },
  )
})
