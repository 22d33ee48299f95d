import { describe, expect, test } from 'vitest'
import { type Message, PRIORITIES } from '../../../src/index.ts'
import type { Backend } from '../support.ts'
import { until } from '../support.ts'

export function isolationCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ make }) => {
    test('[I7] nothing of one session is seen in another: groups, wildcards, inboxes, replay, dead letters', async () => {
      await using store = make()
      const bus = await store.open({ defaults: { retry: { attempts: 1 } } })
      const [ann, ben] = [bus.session('ann'), bus.session('ben')]
      const seen: Record<string, unknown[]> = { group: [], wildcard: [], inbox: [], replayed: [] }
      ann.subscribe('chat.say', ({ data }) => void seen.group?.push(data), { group: 'g' })
      ann.subscribe('>', ({ data, topic }) => topic.startsWith('_') || void seen.wildcard?.push(data))
      const inbox = ann.inbox('chat.*', { group: 'hands' })
      bus.subscribe(
        'chat.say',
        () => {
          throw new Error('no')
        },
        { group: 'broken' },
      )
      for (let index = 0; index < 10; index++) {
        await ann.publish('chat.say', `ann ${index}`)
        await ben.publish('chat.say', `ben ${index}`)
        await bus.publish('chat.say', `nobody ${index}`)
      }
      for (let index = 0; index < 10; index++) seen.inbox?.push((await inbox.receive()).data)
      await expect(inbox.receive({ timeoutMs: 20 })).rejects.toMatchObject({ code: 'RECEIVE_TIMEOUT' })
      await until(async () => (await bus.deadLetters.count()) === 30, 'the dead letters')
      for await (const message of bus.replay('>', { session: 'ann' })) seen.replayed?.push(message.data)
      const dead = (await bus.deadLetters.list({ session: 'ann', order: 'oldest' })).map((one) => one.message.data)
      await until(() => seen.group?.length === 10 && seen.wildcard?.length === 10, 'the subscriptions')
      const own = Array.from({ length: 10 }, (_, index) => `ann ${index}`)
      expect({ ...seen, dead: dead.toSorted() }).toEqual({
        group: own,
        wildcard: own,
        inbox: own,
        replayed: own,
        dead: own,
      })
      await bus.close()
    })

    test('[I8] of a kept backlog the highest lane goes first, and nothing is passed by more than the overtaking bound', async () => {
      await using store = make()
      const first = await store.open()
      for (let index = 0; index < 150; index++) {
        for (const priority of PRIORITIES.toReversed()) await first.publish('work.x', priority, { priority })
      }
      await first.close()
      const bus = await store.open({ overtaking: 20 })
      const order: string[] = []
      const gate = Promise.withResolvers<void>()
      const handler = async ({ data }: Message): Promise<void> => {
        order.push(data as string)
        await gate.promise
      }
      const worker = bus.subscribe('work.*', handler, { group: 'g', concurrency: 1 })
      await until(() => worker.stats().waiting === 749, 'the backlog')
      gate.resolve()
      await until(() => order.length === 750, 'all of it')
      const places = new Map(PRIORITIES.map((priority) => [priority as string, [] as number[]]))
      for (const [place, one] of order.slice(1).entries()) places.get(one)?.push(place)
      // Twenty go, the first handled one counted, then one of those that were passed: so each lane ends after those above it.
      expect(order.slice(1, 20)).toEqual(Array.from({ length: 19 }, () => 'critical'))
      expect(order.slice(1, 30)).toContain('background')
      const ends = PRIORITIES.map((priority) => places.get(priority)?.at(-1) ?? 0)
      expect(ends).toEqual(ends.toSorted((a, b) => a - b))
      for (const priority of PRIORITIES) {
        const own = places.get(priority) ?? []
        const gaps = own.map((place, index) => place - (own[index - 1] ?? -1) - 1)
        // Passed by 20 at most, and by one of each other lane that waited as long.
        expect(Math.max(...gaps)).toBeLessThanOrEqual(20 + PRIORITIES.length)
      }
      await bus.close()
    })
  })
}
