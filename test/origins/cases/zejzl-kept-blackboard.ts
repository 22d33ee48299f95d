import { describe, expect, test } from 'vitest'
import { type Blackboard, type BoardChange, openBlackboard } from '../../../src/agent/index.ts'
import { isBusError, openBus } from '../../../src/index.ts'
import type { MessageLog } from '../../../src/log/index.ts'
import { until } from '../../kept/support.ts'

/** Where the logs of a test lie. */
export interface Place {
  /** Opens the log as a restarted program would: the ones before are closed. */
  reopen(): Promise<MessageLog>
  /** A log of one more participant on the same place, where several can share it; else the one that is open. */
  beside(): Promise<MessageLog>
}

/** Something that keeps a blackboard, under the name that its tests are told by. */
export interface PlaceKind {
  readonly name: string
  readonly make: () => Place
}

/** What a blackboard promises wherever its log lies. */
export function zejzlKeptBlackboardCases(backends: readonly PlaceKind[]): void {
  describe.each(backends)('on $name', ({ make }) => {
    test('[Z65] [ZN32] values are written, read, deleted and listed with version and time, and survive a restart', async () => {
      const place = make()
      const board = await openBlackboard(await place.reopen(), { agent: 'harold' })
      const goal = await board.write('plan.goal', { title: 'ship', steps: [1, 2, { deep: null }] })
      await board.write('plan.owner', 'pink')
      await board.write('other', 1)
      expect(await board.delete('plan.owner')).toBe(true)
      expect(goal).toMatchObject({ key: 'plan.goal', version: 1, by: 'harold' })
      expect(goal.time).toBeGreaterThan(1.7e12)
      await board[Symbol.asyncDispose]()

      await using again = await openBlackboard(await place.reopen())
      expect(again.read('plan.goal')).toEqual(goal)
      expect(again.list('plan.').map((one) => one.key)).toEqual(['plan.goal'])
      expect(again.read('plan.owner')).toBeUndefined()
      // Versions go on where they were: what was read before the restart is told from what is there now.
      expect((await again.write('plan.owner', 'red')).version).toBe(5)
      await expect(again.write('plan.goal', 'x', { expect: 5 })).rejects.toMatchObject({
        code: 'VERSION_CONFLICT',
        details: { key: 'plan.goal', expected: 5, actual: 1 },
      })
    })

    test('[Z65] [ZN32] agents hear of each change, in one order for all of them', async () => {
      const place = make()
      await place.reopen()
      const boards = await Promise.all(
        ['pink', 'red', 'blue'].map(async (agent) => openBlackboard(await place.beside(), { agent })),
      )
      const heard = boards.map((board) => {
        const changes: BoardChange[] = []
        board.watch('', (change) => changes.push(change))
        return changes
      })
      const writes = Array.from({ length: 30 }, async (_, index) => {
        const board = boards[index % 3]
        if (index % 10 === 9) await board?.delete(`k${index % 4}`)
        else await board?.write(`k${index % 4}`, index)
      })
      await Promise.all(writes)
      // Whoever was answered last has read all of them.
      const version = Math.max(...boards.map((board) => board.stats().version))
      await until(() => boards.every((board) => board.stats().version === version), 'the changes')
      expect(heard[0]?.length).toBe(version)
      expect(heard[1]).toEqual(heard[0])
      expect(heard[2]).toEqual(heard[0])
      expect(new Set(heard[0]?.map((change) => change.by))).toEqual(new Set(['pink', 'red', 'blue']))
      for (const board of boards) await board[Symbol.asyncDispose]()
    })

    test('[Z65] [ZN32] a board on the log of a bus leaves the channels and the replay of the bus alone', async () => {
      const log = await make().reopen()
      const bus = await openBus(log)
      await using board = await openBlackboard(log)
      for (let value = 0; value < 5; value++) await board.write('k', value)
      await bus.publish('tasks.a', 1)
      const names = (await bus.channels()).map((channel) => channel.name)
      const replayed: unknown[] = []
      for await (const message of bus.replay('>')) replayed.push(message.data)
      expect([names, replayed]).toEqual([['tasks'], [1]])
      await bus.close()
    })

    test('[Z65] [ZN32] three that count up one value by the version they read lose no step, also while the state is stored anew', async () => {
      const place = make()
      await place.reopen()
      const boards = await Promise.all(
        ['pink', 'red', 'blue'].map(async (agent) => openBlackboard(await place.beside(), { agent, compactAfter: 20 })),
      )
      let conflicts = 0
      const count = async (board: Blackboard): Promise<void> => {
        for (let done = 0; done < 30; ) {
          const { value = 0, version = 0 } = board.read<number>('steps') ?? {}
          try {
            await board.write('steps', value + 1, { expect: version })
            done++
          } catch (error) {
            if (!isBusError(error, 'VERSION_CONFLICT')) throw error
            conflicts++
          }
        }
      }
      await Promise.all(boards.map(count))
      expect(conflicts).toBeGreaterThan(0)
      expect(boards.reduce((sum, board) => sum + board.stats().compactions, 0)).toBeGreaterThan(0)
      for (const board of boards) await board[Symbol.asyncDispose]()
      await using again = await openBlackboard(await place.reopen())
      expect(again.read('steps')?.value).toBe(90)
    })
  })
}
