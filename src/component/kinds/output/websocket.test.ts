import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { declare, type KindSwarm, startKinds, testTerminal, until } from '../../../../test/support/kinds.ts'
import type { Setting } from '../../spec.ts'
import { llmKind } from '../llm/llm.ts'

const started = (
  settings: Readonly<Record<string, Setting>> = {},
  mind: Readonly<Record<string, Setting>> = {},
): Promise<KindSwarm> =>
  startKinds([
    declare('x', 'memory short_term', {}, ['mind']),
    declare('mind', 'llm echo', mind, ['wire']),
    declare('wire', 'output websocket', { port: 0, ...settings }),
  ])

async function listener(
  url: string,
): Promise<{ readonly socket: WebSocket; readonly heard: { readonly event: string; readonly payload: unknown }[] }> {
  const socket = new WebSocket(url)
  const heard: { readonly event: string; readonly payload: unknown }[] = []
  socket.on('message', (data) => heard.push(JSON.parse(String(data)) as (typeof heard)[number]))
  await new Promise((resolve, reject) => {
    socket.on('open', resolve)
    socket.on('error', reject)
  })
  return { socket, heard }
}

test('[WN8] a socket gets what is sent in the session it names, and nothing of others', async () => {
  await using run = await started()
  const url = run.url('wire')
  const one = await listener(`${url}/?session=s1`)
  const two = await listener(url)
  two.socket.send('{"type":"subscribe","session_id":"s2"}')
  two.socket.send('nonsense')
  await until(() => expect(two.heard).toEqual([{ event: 'error', payload: { error: expect.any(String) } }]))
  two.heard.length = 0
  const x = run.swarm.component('x')
  await x.send('mind', 'input_received', 'for one', { session: 's1' })
  await x.send('mind', 'input_received', 'for two', { session: 's2' })
  await x.send('mind', 'input_received', 'for nobody')
  await run.swarm.idle()
  await until(() => expect([one.heard.length, two.heard.length]).toEqual([1, 1]))
  expect(one.heard[0]).toEqual({
    event: 'response_generated',
    payload: 'for one',
    sender: 'mind',
    session_id: 's1',
    timestamp: expect.any(Number),
  })
  expect(two.heard[0]).toMatchObject({ payload: 'for two', session_id: 's2' })
  one.socket.close()
  two.socket.close()
})

const torn = llmKind({
  kind: 'llm torn',
  summary: 'fails in the middle',
  model: () => ({
    name: 'torn',
    async *generate() {
      yield { type: 'text-delta', text: 'half' }
      throw new Error('torn')
    },
  }),
})

test('[W59] a stream that fails says so, and nothing that looks whole is sent', async () => {
  const terminal = testTerminal([])
  await using run = await startKinds(
    [
      declare('x', 'memory short_term'),
      declare('mind', 'llm torn', { streaming: true }, ['wire', 'screen']),
      declare('wire', 'output websocket', { port: 0 }),
      declare('screen', 'output console'),
    ],
    { kinds: [torn], terminal },
  )
  const { socket, heard } = await listener(`${run.url('wire')}/?session=s1`)
  await run.swarm.component('x').send('mind', 'input_received', 'go', { session: 's1' })
  await until(() =>
    expect(heard.at(-1)?.payload).toMatchObject({
      is_final: true,
      metadata: { error: expect.stringContaining('torn') },
    }),
  )
  expect(heard.some(({ event }) => event === 'response_generated')).toBe(false)
  await until(() => expect(terminal.text()).toMatch(/^half … .*torn.*\n$/))
  socket.close()
})

test('[W59] parts of a stream are sent as they come, then the whole', async () => {
  await using run = await started({}, { streaming: true })
  const { socket, heard } = await listener(`${run.url('wire')}/?session=s1`)
  await run.swarm.component('x').send('mind', 'input_received', 'a b c', { session: 's1' })
  await until(() => expect(heard.at(-1)).toMatchObject({ event: 'response_generated', payload: 'a b c' }))
  const chunks = heard
    .filter(({ event }) => event === 'stream.chunk')
    .map(({ payload }) => payload as { readonly data: unknown; readonly is_final: boolean })
  expect(chunks.filter((one) => !one.is_final).map((one) => one.data)).toEqual(['a', ' b', ' c'])
  expect(chunks.at(-1)?.is_final).toBe(true)
  socket.close()
})
