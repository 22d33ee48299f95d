import { expect, test } from 'vitest'
import { feedOf } from './feed.ts'

test('[W88] a line goes to the one who wants it when it comes, once; the end is the end for all', async () => {
  const typed = Promise.withResolvers<void>()
  async function* lines(): AsyncGenerator<string> {
    await typed.promise
    yield 'a'
    yield 'b'
  }
  const feed = feedOf(lines())
  const given: (readonly [string, string | undefined])[] = []
  const take = (name: string) => (line: string | undefined) => void given.push([name, line])
  let isWanted = true
  const first = feed.give(() => isWanted, take('first'))
  // It is ended while it waits; nobody else asks yet.
  isWanted = false
  typed.resolve()
  await first
  expect(given).toEqual([])
  await feed.give(() => true, take('second'))
  await feed.give(() => true, take('second'))
  await feed.give(() => true, take('second'))
  await feed.give(() => true, take('third'))
  expect(given).toEqual([
    ['second', 'a'],
    ['second', 'b'],
    ['second', undefined],
    ['third', undefined],
  ])
})

test('[W88] input that breaks off is an end', async () => {
  // biome-ignore lint/correctness/useYield: it fails before its first line
  async function* broken(): AsyncGenerator<string> {
    throw new Error('EIO')
  }
  const given: (string | undefined)[] = []
  await feedOf(broken()).give(
    () => true,
    (line) => void given.push(line),
  )
  expect(given).toEqual([undefined])
})
