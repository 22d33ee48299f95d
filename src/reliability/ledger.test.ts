import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { GroupInfo, StreamInfo } from '../log/log.ts'
import { addLedgers, balance, channelLedger, groupLedger, LEDGER_FIELDS } from './ledger.ts'

const stream = (name: string, count: number): StreamInfo => ({
  stream: name,
  first: '1',
  next: String(count + 1),
  count,
  bytes: 0,
  gaps: [],
})

const group = (name: string, parts: Partial<GroupInfo>, skipped = 0): GroupInfo => {
  const figures = { acked: 0, dead: 0, expired: 0, dropped: 0, pending: 0, leased: 0, delayed: 0, ...parts }
  const published = Object.values(figures).reduce<number>((sum, one) => sum + Number(one), 0)
  return { published, ...figures, skipped, stale: 9, stream: name, group: 'g' }
}

test('the lanes of a channel add up, and what no group reads is held', () => {
  const streams = [stream('tasks/high', 3), stream('tasks/low', 5), stream('tasks/background', 2)]
  const groups = [
    group('tasks/high', { acked: 2, leased: 1 }),
    group('tasks/low', { pending: 3, dead: 1, delayed: 1 }),
    group('other/high', { acked: 100 }),
  ]
  const ledger = channelLedger(streams, groups)
  expect(ledger).toEqual({
    published: 10,
    acked: 2,
    pending: 3,
    leased: 1,
    delayed: 1,
    held: 2,
    dead: 1,
    expired: 0,
    dropped: 0,
  })
  expect(balance(ledger)).toBe(0)
})

test('two groups of a stream count each message once each', () => {
  const groups = [group('t/normal', { acked: 4 }), group('t/normal', { pending: 4 })]
  expect(channelLedger([stream('t/normal', 4)], groups)).toMatchObject({ published: 8, acked: 4, pending: 4, held: 0 })
})

test('a message that is nowhere shows as 1, one that is counted twice as −1', () => {
  const whole = groupLedger(group('t/normal', { acked: 4, expired: 1, dropped: 1 }))
  expect([balance(whole), balance({ ...whole, acked: 3 }), balance({ ...whole, dead: 1 })]).toEqual([0, 1, -1])
})

test('nothing adds up to nothing', () => {
  expect(Object.values(addLedgers([]))).toEqual(LEDGER_FIELDS.map(() => 0))
  expect(channelLedger([], [group('t/normal', { acked: 1 })]).published).toBe(0)
})

test('the sum of ledgers that balance balances, whatever they hold', () => {
  const n = fc.nat(1e9)
  const parts = fc.record({ acked: n, dead: n, expired: n, dropped: n, pending: n, leased: n, delayed: n })
  fc.assert(
    fc.property(fc.array(parts), fc.nat(1e9), (list, held) => {
      const streams = list.map((_, index) => stream(`c/${index}`, 1))
      const groups = list.map((one, index) => group(`c/${index}`, one, 5))
      const ledger = channelLedger([...streams, stream('c/unread', held)], groups)
      expect([balance(ledger), ledger.held]).toEqual([0, held])
      expect(ledger.acked).toBe(list.reduce((sum, one) => sum + one.acked, 0))
    }),
  )
})
