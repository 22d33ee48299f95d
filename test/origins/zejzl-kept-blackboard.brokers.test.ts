import { onTestFinished } from 'vitest'
import type { MessageLog } from '../../src/log/index.ts'
import { openLog } from '../../src/node/backends.ts'
import { BROKERS } from '../kept/brokers.ts'
import { type PlaceKind, zejzlKeptBlackboardCases } from './cases/zejzl-kept-blackboard.ts'

/** Each log has a connection of its own, as in a process of its own. */
const PLACES: readonly PlaceKind[] = BROKERS.map(({ name, make }) => ({
  name,
  make() {
    const store = make()
    let open: MessageLog[] = []
    const end = async (): Promise<void> => {
      await Promise.all(open.map((log) => log[Symbol.asyncDispose]()))
      open = []
    }
    onTestFinished(end)
    const beside = async (): Promise<MessageLog> => {
      const log = await openLog(await store.url())
      open.push(log)
      return log
    }
    return {
      beside,
      async reopen() {
        await end()
        return beside()
      },
    }
  },
}))

zejzlKeptBlackboardCases(PLACES)
