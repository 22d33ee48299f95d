import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { createMcpHandler } from '@modelcontextprotocol/server'
import { expect, test } from 'vitest'
import { declare, ref, startKinds, until } from '../../../../test/support/kinds.ts'
import type { Setting } from '../../spec.ts'
import { settingsOf } from '../settings.ts'
import { MCP_SERVER } from './server.ts'
import { mcpTarget } from './target.ts'

const MODULE = fileURLToPath(new URL('../../../../test/support/mcp-server.mjs', import.meta.url))

async function started(settings: Readonly<Record<string, Setting>> = {}) {
  const run = await startKinds([
    declare('tools', 'mcp server', { server: MODULE, ...settings }),
    declare('x', 'memory short_term'),
  ])
  const x = run.swarm.component('x')
  return {
    ...run,
    call: (action: string, inputs: Readonly<Record<string, unknown>> = {}) => x.request('tools', { action, inputs }),
  }
}

test('[W72] the tools of a real MCP server are listed and called over its input and output', async () => {
  await using run = await started()
  expect(await run.call('add', { a: 2, b: 40 })).toBe('42')
  await expect(run.call('burn')).rejects.toThrow('burn of "tools" failed: it burns')
  await expect(run.call('nothing')).rejects.toThrow(/no tool "nothing"; there are: add, variables, burn, sleep, die/)
})

test('[W72] env and auth reach the process, and nothing else of this one does', async () => {
  process.env.SWARMBUS_TEST_PRIVATE = 'private'
  await using run = await started({
    env: { COLOUR: 'blue' },
    auth: { TOKEN: 't-1' },
    toolsets: 'repos,issues',
    readonly: false,
  })
  const names = ['COLOUR', 'TOKEN', 'GITHUB_TOOLSETS', 'SWARMBUS_TEST_PRIVATE']
  expect(await run.call('variables', { names })).toBe('blue,t-1,repos,issues,-')
  delete process.env.SWARMBUS_TEST_PRIVATE
})

test('[W72] readonly offers only tools that say they change nothing', async () => {
  await using run = await started({ readonly: true })
  expect(await run.call('add', { a: 1, b: 1 })).toBe('2')
  await expect(run.call('burn')).rejects.toThrow('has no tool "burn" that only reads; there are: add')
})

test('[W72] [W75] an agent uses the tools of a server', async () => {
  await using run = await startKinds([
    declare('bob', 'agent llm', { model: ref('mind'), tools: [ref('tools')] }),
    declare('mind', 'llm scripted', { answers: [{ tool: 'add', inputs: { a: 1, b: 2 } }, 'it is {observation}'] }),
    declare('tools', 'mcp server', { server: MODULE }),
  ])
  expect(await run.swarm.component('tools').request('bob', 'add')).toBe('it is 3')
})

test('[W72] a server that dies is started again by the next call', async () => {
  await using run = await started()
  await expect(run.call('die')).rejects.toThrow('die of "tools" failed')
  expect(await run.call('add', { a: 1, b: 1 })).toBe('2')
})

test('[W72] a call that is not answered ends in time', async () => {
  await using run = await started({ timeout: 2 })
  await expect(run.call('sleep')).rejects.toThrow(/sleep of "tools" failed|within 2/)
}, 15_000)

test('[W72] a server that does not come up stops the start, with its last words and without secrets', async () => {
  const start = started({ args: ['--broken'], env: { SECRET_KEY: 'sesame-1234' }, timeout: 5 })
  await expect(start).rejects.toThrow(/"tools" cannot be reached.*it said: no such key: \*\*\*/s)
})

test('[W72] over HTTP with a token, and with tool sets as headers', async () => {
  const { makeServer } = (await import(MODULE)) as { makeServer: Parameters<typeof createMcpHandler>[0] }
  const handler = createMcpHandler(makeServer)
  const seen: unknown[] = []
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      seen.push([request.headers.authorization, request.headers['x-mcp-toolsets'], request.headers['x-mcp-readonly']])
      const headers = new Headers(
        Object.entries(request.headers).map(([name, value]): [string, string] => [name, String(value)]),
      )
      const body = chunks.length === 0 ? {} : { body: Buffer.concat(chunks) }
      const answer = await handler.fetch(
        new Request(`http://localhost${request.url}`, { method: request.method ?? 'GET', headers, ...body }),
      )
      response.writeHead(answer.status, Object.fromEntries(answer.headers))
      response.end(Buffer.from(await answer.arrayBuffer()))
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`
    await using run = await started({
      server: 'io.github.test/tools',
      url,
      auth: { token: 't-9' },
      toolsets: ['repos', 'issues'],
    })
    expect(await run.call('add', { a: 20, b: 22 })).toBe('42')
    expect(seen[0]).toEqual(['Bearer t-9', 'repos,issues', undefined])
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

test('[W72] [W69] what a server is started by: an address, a command, a module, a package in a version', () => {
  const target = (settings: Readonly<Record<string, Setting>>) =>
    mcpTarget(settingsOf(declare('m', 'mcp server', settings), MCP_SERVER), '/folder')
  expect(target({ server: 'https://mcp.example/x', auth: { 'X-Key': 'k' }, readonly: true })).toEqual({
    type: 'http',
    url: 'https://mcp.example/x',
    headers: { 'X-Key': 'k', 'x-mcp-readonly': 'true' },
  })
  expect(target({ server: 'any', command: 'docker', args: ['run', 'x'] })).toMatchObject({
    command: 'docker',
    args: ['run', 'x'],
  })
  expect(target({ server: './my.mjs' })).toMatchObject({ command: process.execPath, args: ['/folder/my.mjs'] })
  expect(target({ server: '@scope/files', args: ['/tmp'] })).toMatchObject({
    command: 'npx',
    args: ['-y', '@scope/files@latest', '/tmp'],
  })
  expect(target({ server: 'files', version: '1.2.0', readonly: true })).toMatchObject({
    args: ['-y', 'files@1.2.0'],
    env: { GITHUB_READ_ONLY: '1' },
  })
  expect(() => target({ server: 'io.github.github/mcp-server' })).toThrow(
    /cannot look up: give its `url`, or .*`command`/,
  )
  expect(() => target({ server: 'x', url: 'ftp://x' })).toThrow('begins with http')
})

test('[W72] its process ends with the swarm', async () => {
  const { connectMcp } = await import('./connect.ts')
  const target = { type: 'process', command: process.execPath, args: [MODULE], env: {}, folder: '/' } as const
  const connection = await connectMcp('tools', target, 10_000)
  expect(connection.isClosed).toBe(false)
  await connection.close()
  await until(() => expect(connection.isClosed).toBe(true))
  await expect(connection.call('add', { a: 1, b: 1 }, { timeoutMs: 500 })).rejects.toThrow('add of "tools" failed')
})
