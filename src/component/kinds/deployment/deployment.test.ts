import { expect, test } from 'vitest'
import { declare, ref, startKinds } from '../../../../test/support/kinds.ts'
import type { Setting } from '../../spec.ts'
import { DEPLOYMENT_KINDS } from './kinds.ts'

const TEAM = [
  declare('notes', 'memory short_term'),
  declare('mind', 'llm echo', { prefix: 'you: ' }),
  declare('sour', 'llm scripted', { answers: [{ error: 'no power' }] }),
]

const started = (kind: string, settings: Readonly<Record<string, Setting>> = {}) =>
  startKinds([...TEAM, declare('place', kind, { port: 0, ...settings })])

const post = async (
  url: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<readonly [number, unknown]> => {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  return [response.status, await response.json()]
}

test('[W79] a server answers POST /<component>/input, GET /health and GET /components', async () => {
  await using run = await started('deployment server')
  const url = run.url('place')
  expect(await post(`${url}/mind/input`, { value: 'hello' })).toEqual([
    200,
    { component: 'mind', result: 'you: hello' },
  ])
  expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: 'ok', deployment: 'place' })
  expect(await (await fetch(`${url}/components`)).json()).toEqual({
    components: expect.arrayContaining([
      { name: 'notes', kind: 'memory short_term', role: 'memory' },
      { name: 'mind', kind: 'llm echo', role: 'llm' },
      { name: 'sour', kind: 'llm scripted', role: 'llm' },
    ]),
  })
})

test('[W79] a session goes along', async () => {
  await using run = await started('deployment server')
  const url = `${run.url('place')}/notes/input`
  await post(url, { value: { action: 'add', inputs: { text: 'milk' } }, session_id: 'a' })
  expect(await post(url, { value: { action: 'data' }, session_id: 'a' })).toEqual([
    200,
    { component: 'notes', result: [{ role: 'user', text: 'milk' }] },
  ])
  expect(await post(url, { value: { action: 'data' }, session_id: 'b' })).toEqual([
    200,
    { component: 'notes', result: [] },
  ])
})

test('[W79] what is wrong gets a status and a sentence', async () => {
  await using run = await started('deployment server', { components: [ref('mind'), ref('sour')], max_body: 1_000 })
  const url = run.url('place')
  expect(await post(`${url}/nobody/input`, { value: 1 })).toEqual([
    404,
    { error: 'there is no component of that name here; there are: mind, sour' },
  ])
  expect((await post(`${url}/notes/input`, { value: 1 }))[0]).toBe(404)
  expect(await post(`${url}/mind/input`, { input: 1 })).toEqual([400, { error: 'the body must be {"value": …}' }])
  expect((await post(`${url}/mind/input`, { value: 'x'.repeat(2_000) }))[0]).toBe(413)
  expect(await post(`${url}/sour/input`, { value: 1 })).toEqual([
    502,
    { error: expect.stringContaining('no power'), code: 'HANDLER_FAILED' },
  ])
  expect((await fetch(`${url}/mind/input`)).status).toBe(405)
  expect((await fetch(`${url}/%E0%A4%A/input`, { method: 'POST' })).status).toBe(400)
})

test('[W79] a vm serves the components it lists, one of them without its name', async () => {
  await using run = await startKinds([
    ...TEAM,
    declare('one', 'vm server', { port: 0, components: [ref('mind')] }),
    declare('two', 'vm server', { port: 0, components: [ref('mind'), ref('notes')] }),
  ])
  expect(await post(`${run.url('one')}/input`, { value: 'hi' })).toEqual([
    200,
    { component: 'mind', result: 'you: hi' },
  ])
  expect((await post(`${run.url('two')}/input`, { value: 'hi' }))[0]).toBe(404)
  expect(await post(`${run.url('two')}/mind/input`, { value: 'hi' })).toMatchObject([200, { result: 'you: hi' }])
})

test('[W79] [WN8] a key is asked for where there is one, and needed to be reached from elsewhere', async () => {
  await using run = await started('deployment server', { api_key: 'k' })
  const url = `${run.url('place')}/mind/input`
  expect((await post(url, { value: 1 }))[0]).toBe(401)
  expect((await post(url, { value: 1 }, { 'x-api-key': 'k' }))[0]).toBe(200)
  await expect(started('deployment server', { host: '0.0.0.0' })).rejects.toThrow(/for everybody/)
})

test('[W74] [W79] a vm listens on 43001, and local needs nothing', async () => {
  const port = (kind: string) => DEPLOYMENT_KINDS.find((one) => one.kind === kind)?.keys.port?.default
  expect([port('vm server'), port('deployment server')]).toEqual([43_001, 43_001])
  await using run = await startKinds([...TEAM, declare('here', 'deployment local', { message_bus: 'memory:' })])
  expect(run.swarm.components().map(({ name }) => name)).toContain('here')
})

test('analytics counts what it is sent by event and sender', async () => {
  await using run = await startKinds([...TEAM, declare('analytics', 'analytics')])
  const mind = run.swarm.component('mind')
  for (const latency of [42, 43]) await mind.send('analytics', 'metrics', { latency })
  await run.swarm.component('notes').send('analytics', 'metrics', { latency: 1 })
  await run.swarm.idle()
  expect(await mind.request('analytics', { action: 'report' })).toEqual({
    counted: [
      { event: 'metrics', from: 'mind', count: 2, last: { latency: 43 } },
      { event: 'metrics', from: 'notes', count: 1, last: { latency: 1 } },
    ],
  })
})
