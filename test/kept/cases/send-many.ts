import { describe, expect, test } from 'vitest'
import type { Backend } from '../support.ts'
import { until } from '../support.ts'

export function sendManyCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ make }) => {
    test('what is sent to several agents is each one’s own in the log: by topic, address and in its dead letters', async () => {
      await using store = make()
      await using bus = await store.open({ defaults: { retry: { attempts: 1 } } })
      const got: [name: string, topic: string, to: string | undefined][] = []
      for (const name of ['a', 'b', 'c']) {
        bus.register(name, {
          handler: ({ topic, to }) => {
            got.push([name, topic, to])
            if (name === 'b') throw new Error('not today')
          },
        })
      }
      const ack = await bus.send(['a', 'b', 'c'], 'all of you', { until: 'handled' })
      expect(ack.accepted).toEqual(['a', 'b', 'c'])
      expect(ack.deliveries?.map(({ name, outcome }) => [name, outcome]).toSorted()).toEqual([
        ['a', 'handled'],
        ['b', 'failed'],
        ['c', 'handled'],
      ])
      expect(got.toSorted()).toEqual([
        ['a', 'agent.a', 'a'],
        ['b', 'agent.b', 'b'],
        ['c', 'agent.c', 'c'],
      ])
      await until(async () => (await bus.deadLetters.count()) === 1)
      expect(await bus.deadLetters.list({ agent: 'b' })).toHaveLength(1)
      expect(await bus.deadLetters.list({ agent: 'a' })).toHaveLength(0)
      for (const name of ['a', 'b', 'c']) {
        const read: unknown[] = []
        for await (const message of bus.replay(`agent.${name}`)) read.push([message.id, message.to])
        expect(read).toEqual([[ack.id, name]])
      }
    })
  })
}
