import { describe, expect, test } from 'vitest'
import { memoryLog } from '../../../src/log/index.ts'
import { openJournal, type Step } from '../../../src/observe/index.ts'
import type { Backend } from '../../kept/support.ts'
import { until } from '../support/cortex-kept.ts'

export function cortexKeptAuditCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ make, name }) => {
    test('[C38] [C39] the timeline of a task holds everything it caused, and a path names the agents in between', async () => {
      await using store = make()
      await using log = memoryLog()
      await using journal = openJournal(`paths-${name}`, log)
      await using bus = await store.open({ name: `paths-${name}` })
      bus.register('harold', { handler: (_message, context) => context.bus.send('pink', 'please') })
      bus.register('pink', { handler: (_message, context) => context.bus.publish('results.a', 'done') })
      bus.subscribe('results.*', () => undefined, { group: 'archive', name: 'archive' })
      const unrelated = await bus.publish('results.b', 'unrelated')
      const root = await bus.send('harold', 'incident', { from: 'user' })
      let timeline: readonly Step[] = []
      await until(async () => {
        timeline = await journal.timeline(root.id)
        return timeline.filter((step) => step.event === 'acked').length === 3
      })
      expect(timeline.filter((step) => step.event === 'published').map((step) => step.topic)).toEqual([
        'agent.harold',
        'agent.pink',
        'results.a',
      ])
      expect(timeline.some((step) => step.id === unrelated.id)).toBe(false)
      expect(timeline.map((step) => step.time)).toEqual(timeline.map((step) => step.time).toSorted((a, b) => a - b))
      const last = timeline.find((step) => step.topic === 'results.a')
      const path = await journal.path(last?.id as string)
      expect(path.map((hop) => [hop.from, hop.to, hop.outcome])).toEqual([
        ['user', 'harold', 'handled'],
        ['harold', 'pink', 'handled'],
        ['pink', 'archive', 'handled'],
      ])
      expect(await journal.path('nobody')).toEqual([])
    })
  })
}
