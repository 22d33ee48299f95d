import { expect, test } from 'vitest'
import { messageMaker } from '../message/make.ts'
import { memoryLog } from './memory.ts'

const maker = messageMaker()

test('[C14] what was appended is handed out in order, settled once, and counted', async () => {
  await using log = memoryLog()
  const sent = Array.from({ length: 100 }, (_, index) => maker.make('tasks.a', index))
  const appended = await log.append(
    'tasks/normal',
    sent.map((message) => ({ message })),
  )
  expect(appended.map(({ offset }) => Number(offset))).toEqual(sent.map((_, index) => index + 1))
  const seen: unknown[] = []
  for await (const delivery of log.consume('tasks/normal', 'g', { maxInFlight: 10 })) {
    seen.push(delivery.message.data)
    expect(await delivery.settle('acked')).toBe(true)
    expect(await delivery.settle('acked')).toBe(false)
    if (seen.length === 100) break
  }
  expect(seen).toEqual(sent.map(({ data }) => data))
  expect(await log.groups()).toMatchObject([{ published: 100, acked: 100, pending: 0, leased: 0, stale: 100 }])
})
