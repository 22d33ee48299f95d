import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cli, filled, fillFile, folder, jsonLines, start } from '../../test/cli/support.ts'
import type { Message } from '../message/message.ts'
import { openBus } from '../node/node.ts'

/** What is kept in a file. */
async function keptIn(file: string): Promise<readonly Message[]> {
  await using bus = await openBus(`sqlite:${file}`)
  const found: Message[] = []
  for await (const message of bus.replay('>')) found.push(message)
  return found
}

const ID = '01a1fd2b-c5f2-7000-bc6b-57f0f605b000'

test('publish makes the file, keeps the message with its fields, and says where', async () => {
  const file = join(folder(), 'new', 'swarm.db')
  const argv = ['publish', 'tasks.coding', '{"title":"fix auth"}', '--file', file]
  const fields = ['--priority', 'high', '--session', 's1', '--ttl', '5m', '--id', ID]
  const { code, out, err } = await cli([...argv, ...fields])
  expect([code, out, err]).toEqual([0, `kept tasks/high:1 (disk) id ${ID}\n`, ''])
  const [message] = await keptIn(file)
  expect(message).toMatchObject({
    topic: 'tasks.coding',
    data: { title: 'fix auth' },
    priority: 'high',
    session: 's1',
    id: ID,
  })
  expect((message?.expiresAt ?? 0) - (message?.time ?? 0)).toBe(300_000)
})

test('a repeat of an id or key is kept once, and says so', async () => {
  const file = join(folder(), 'swarm.db')
  const publish = (...more: string[]): ReturnType<typeof cli> => cli(['publish', 'a', '1', '--file', file, ...more])
  await publish('--key', 'k')
  expect((await publish('--key', 'k')).out).toMatch(/^was kept before a\/normal:1 /)
  await publish('--id', ID)
  const { out } = await publish('--id', ID, '--json')
  expect(JSON.parse(out)).toEqual({ id: ID, topic: 'a', level: 'disk', offset: 'a/normal:2', duplicate: true })
  expect(await keptIn(file)).toHaveLength(2)
})

test('data is JSON if it can be, a text otherwise, and always a text with --text', async () => {
  const file = join(folder(), 'swarm.db')
  for (const argv of [['12'], ['hello there'], ['12', '--text']]) await cli(['publish', 'a', ...argv, '--file', file])
  expect((await keptIn(file)).map(({ data }) => data)).toEqual([12, 'hello there', '12'])
})

test('- reads one message from standard input, without the line end that closes it', async () => {
  const file = join(folder(), 'swarm.db')
  const { code } = await cli(['publish', 'a', '-', '--file', file], { stdin: 'one\ntwo\n' })
  expect(code).toBe(0)
  expect((await keptIn(file)).map(({ data }) => data)).toEqual(['one\ntwo'])
})

test('--lines keeps a message for each line, in their order, and counts them', async () => {
  const file = join(folder(), 'swarm.db')
  const stdin = `${Array.from({ length: 600 }, (_, index) => `{"n":${index}}`).join('\n')}\n\n  \r\nlast`
  const { code, out } = await cli(['publish', 'a', '-', '--lines', '--session', 's', '--file', file], { stdin })
  expect(code).toBe(0)
  expect(out).toMatch(/^601 messages kept in /)
  const kept = await keptIn(file)
  expect(kept.map(({ data }) => data)).toEqual([...Array.from({ length: 600 }, (_, n) => ({ n })), 'last'])
  expect(new Set(kept.map(({ session }) => session))).toEqual(new Set(['s']))
})

test('--lines with --json prints an object for each message', async () => {
  const file = join(folder(), 'swarm.db')
  const { out } = await cli(['publish', 'a', '-', '--lines', '--json', '--file', file], { stdin: '1\n2\n' })
  expect(jsonLines(out).map(({ offset }) => offset)).toEqual(['a/normal:1', 'a/normal:2'])
})

test('a line that is wrong ends it: what was before is kept, and the line is named', async () => {
  const file = join(folder(), 'swarm.db')
  const { code, out, err } = await cli(['publish', 'a', '-', '--lines', '--file', file], { stdin: '1\n2\n{oops\n4\n' })
  expect([code, out]).toEqual([2, ''])
  expect(err).toMatch(/^swarmbus: line 3: the data is wrong: .*2 messages kept before/)
  expect((await keptIn(file)).map(({ data }) => data)).toEqual([1, 2])
})

test('a line that the log refuses is named too', async () => {
  const file = join(folder(), 'swarm.db')
  const stdin = `1\n"${'x'.repeat(1_100_000)}"\n`
  const { code, err } = await cli(['publish', 'a', '-', '--lines', '--file', file], { stdin })
  expect(code).toBe(1)
  expect(err).toMatch(/line 2: .*1 message kept before/)
})

test('Ctrl-C ends reading lines: what was begun is kept and counted', async () => {
  const file = join(folder(), 'swarm.db')
  const never = Promise.withResolvers<void>()
  async function* typing(): AsyncGenerator<string> {
    yield '1\n2\n'
    await never.promise
  }
  const running = start(['publish', 'a', '-', '--lines', '--json', '--file', file], {
    stdin: typing(),
    onOut: (text, call) => (text.includes('a/normal:2') ? call.interrupt() : undefined),
  })
  const { code, out } = await running.done
  expect(code).toBe(130)
  expect(jsonLines(out)).toHaveLength(2)
  expect(await keptIn(file)).toHaveLength(2)
})

test('a delayed message is not handed out before its time', async () => {
  const file = join(folder(), 'swarm.db')
  await cli(['publish', 'a', '1', '--delay', '1h', '--file', file])
  await fillFile(file, async (bus) => {
    bus.subscribe('a', () => undefined, { group: 'g' })
    await bus.publish('a', 2, { until: 'handled' })
  })
  const { out } = await cli(['groups', '--json', '--file', file])
  const [group] = JSON.parse(out) as [{ acked: number; pending: number; delayed: number }]
  // Whether it waits for its time or for a reader, it is not done.
  expect([group.acked, group.pending + group.delayed]).toEqual([1, 1])
})

test('a live topic is refused: nothing would keep the message', async () => {
  const file = await filled((bus) => bus.publish('a', 1))
  const { code, out, err } = await cli(['publish', 'heartbeat.pink', '1', '--file', file])
  expect([code, out]).toEqual([1, ''])
  expect(err).toContain('"heartbeat.pink" is a live topic')
})

test('--channel says which channel keeps a topic', async () => {
  const file = join(folder(), 'swarm.db')
  const { out } = await cli(['publish', 'orders.new', '1', '--channel', 'shop', '--file', file, '--json'])
  expect(JSON.parse(out)).toMatchObject({ offset: 'shop/normal:1' })
  const found = await cli(['replay', 'orders.>', '--file', file, '--json'])
  expect(jsonLines(found.out)).toMatchObject([{ channel: 'shop', message: { topic: 'orders.new' } }])
})
