import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createBus, type SubscribeOptions, type Subscription } from '../../src/index.ts'
import { fakeEnv } from '../../src/testing/index.ts'
import { swarm } from './swarm.ts'

const PATTERNS = ['a', 'a.b', 'a.*', 'a.>', '*.b', '>', 'b.c'] as const
const TOPICS = ['a', 'a.b', 'a.c', 'b.c', 'a.b.c'] as const
const PROCESSES = 3

interface Subscribe {
  readonly type: 'subscribe'
  readonly at: number
  readonly pattern: string
  readonly group: string | undefined
  readonly session: string | undefined
  readonly sender: string | undefined
}
type Step =
  | Subscribe
  | { readonly type: 'unsubscribe'; readonly which: number }
  | {
      readonly type: 'publish'
      readonly at: number
      readonly topic: string
      readonly session: string | undefined
      readonly from: string | undefined
    }

const process = fc.nat(PROCESSES - 1)
const session = fc.option(fc.constantFrom('s', 't'), { nil: undefined })
const agent = fc.option(fc.constantFrom('pink', 'blue'), { nil: undefined, freq: 2 })
const subscribe = fc.record({
  type: fc.constant('subscribe' as const),
  at: process,
  pattern: fc.constantFrom(...PATTERNS),
  group: fc.option(fc.constantFrom('g', 'h'), { nil: undefined }),
  session: fc.option(fc.constantFrom('s', 't'), { nil: undefined, freq: 2 }),
  sender: agent,
})
const unsubscribe = fc.record({ type: fc.constant('unsubscribe' as const), which: fc.nat(20) })
const publish = fc.record({
  type: fc.constant('publish' as const),
  at: process,
  topic: fc.constantFrom(...TOPICS),
  session,
  from: agent,
})
const steps = fc.array(fc.oneof({ weight: 2, arbitrary: subscribe }, unsubscribe, { weight: 4, arbitrary: publish }), {
  minLength: 20,
  maxLength: 60,
})

function optionsOf({ group, session: own, sender }: Subscribe): SubscribeOptions {
  return {
    ...(group === undefined ? {} : { group }),
    ...(own === undefined ? {} : { session: own }),
    ...(sender === undefined ? {} : { sender }),
  }
}

/** Who heard which message: subscriptions by their number, groups by their name and without saying which member. */
type Heard = Map<number, string[]>

test('three buses on a wire hand out exactly what one bus would, whatever subscribes, ends and publishes', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (script: readonly Step[]) => {
      const one: Heard = new Map()
      const many: Heard = new Map()
      const env = fakeEnv()
      await using single = createBus({ env })
      await using all = await swarm(PROCESSES)
      const pairs: [Subscription, Subscription][] = []
      const note = (heard: Heard, number: number, who: string): void => {
        heard.set(number, [...(heard.get(number) ?? []), who].toSorted())
      }
      for (const [number, step] of script.entries()) {
        if (step.type === 'subscribe') {
          const who = step.group ?? `${number}`
          const [mine, theirs] = [single, all.buses[step.at]!].map((bus, of) =>
            bus.subscribe(
              step.pattern,
              ({ data }) => note(of === 0 ? one : many, data as number, who),
              optionsOf(step),
            ),
          ) as [Subscription, Subscription]
          pairs.push([mine, theirs])
        } else if (step.type === 'unsubscribe') {
          for (const subscription of pairs.splice(step.which % Math.max(1, pairs.length), 1).flat())
            subscription.unsubscribe()
        } else {
          const options = {
            ...(step.session === undefined ? {} : { session: step.session }),
            ...(step.from === undefined ? {} : { from: step.from }),
          }
          await single.publish(step.topic, number, options)
          await all.buses[step.at]!.publish(step.topic, number, options)
          await env.settle()
        }
        await all.env.settle()
      }
      expect(many).toEqual(one)
    }),
    { numRuns: 100, seed: 11 },
  )
}, 60_000)
