import { describe, expect, test } from 'vitest'
import type { Backend } from '../../kept/support.ts'
import { codeOf, gate, numbers } from '../support/cortex-veritas.ts'
import { until } from '../support/kept.ts'

export function veritasKeptStopCases(backends: readonly Backend[]): void {
  describe.each(backends)('on $name', ({ make }) => {
    test('[VN11] 10 000 requests that their callers cancel leave nothing pending, and no dead letters', async () => {
      await using store = make()
      const bus = await store.open()
      const busy = gate()
      bus.register('slow', { concurrency: 1, handler: () => busy.closed })
      const stop = new AbortController()
      const codes = numbers(10_000).map(() =>
        codeOf(bus.request('agent.slow', 'x', { signal: stop.signal, timeoutMs: 60_000 })),
      )
      await until(() => bus.stats().requests.pending === 10_000, 'the requests')
      stop.abort()
      expect(new Set(await Promise.all(codes))).toEqual(new Set(['CANCELLED']))
      expect(bus.stats().requests.pending).toBe(0)
      busy.open()
      await until(() => bus.queueSize('slow') === 0 && bus.agent('slow')?.running === 0, 'the queue')
      expect(await bus.deadLetters.count()).toBe(0)
      await bus.close()
    })
  })
}
