// A server of the Model Context Protocol for tests, over its input and output.
import { fromJsonSchema, McpServer } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'

const object = (properties, required = Object.keys(properties)) =>
  fromJsonSchema({ type: 'object', properties, required })

/** The same tools for every way in. */
export function makeServer() {
  const server = new McpServer({ name: 'tools-of-a-test', version: '1.2.3' })
  server.registerTool(
    'add',
    {
      description: 'adds two numbers',
      inputSchema: object({ a: { type: 'number' }, b: { type: 'number' } }),
      annotations: { readOnlyHint: true },
    },
    ({ a, b }) => ({ content: [{ type: 'text', text: String(a + b) }] }),
  )
  server.registerTool(
    'variables',
    { description: 'what it was given', inputSchema: object({ names: { type: 'array', items: { type: 'string' } } }) },
    ({ names }) => ({ content: [{ type: 'text', text: names.map((name) => process.env[name] ?? '-').join(',') }] }),
  )
  server.registerTool('burn', { description: 'fails', inputSchema: object({}) }, () => ({
    isError: true,
    content: [{ type: 'text', text: 'it burns' }],
  }))
  server.registerTool(
    'sleep',
    { description: 'never answers', inputSchema: object({}) },
    () => new Promise(() => undefined),
  )
  server.registerTool('die', { description: 'ends the process', inputSchema: object({}) }, () => process.exit(3))
  return server
}

if (process.argv[1] === import.meta.filename) {
  if (process.argv.includes('--broken')) {
    process.stderr.write(`no such key: ${process.env.SECRET_KEY}\n`)
    process.exit(1)
  }
  serveStdio(makeServer)
}
