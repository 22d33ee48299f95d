import { BusError, describeThrown } from '../../../kit/errors.ts'
import type { McpTarget } from './target.ts'

// The only file that knows the client of the Model Context Protocol. It is looked for when a server is wanted, and not before.

/** A tool as its server describes it. */
export interface McpTool {
  readonly name: string
  readonly summary: string
  readonly inputs: Readonly<Record<string, unknown>>
  /** The server says that it changes nothing. */
  readonly isReadonly: boolean
}

/** A connection that stands. */
export interface McpConnection {
  readonly tools: readonly McpTool[]
  /** True once it is lost. */
  readonly isClosed: boolean
  /** Rejects with HANDLER_FAILED for what the tool or the server refuses, with REQUEST_TIMEOUT when it does not answer. */
  call(tool: string, inputs: Readonly<Record<string, unknown>>, limits: CallLimits): Promise<unknown>
  close(): Promise<void>
}

/** Limits of a call. */
export interface CallLimits {
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

/** Characters of what a process says on its way out. */
const MOST_LAST_WORDS = 2_000
/** Most tools that are taken from one server. */
const MOST_TOOLS = 1_000

/** Connects and lists the tools. Rejects with UNSUPPORTED without the package, with HANDLER_FAILED when the server is not there or does not answer. */
export async function connectMcp(owner: string, target: McpTarget, timeoutMs: number): Promise<McpConnection> {
  const { Client } = await load(() => import('@modelcontextprotocol/client'))
  const client = new Client(
    { name: 'swarmbus', version: '1' },
    { versionNegotiation: { mode: 'auto', probe: { timeoutMs } } },
  )
  const { transport, lastWords } = await openTransport(target)
  let isClosed = false
  client.onclose = () => {
    isClosed = true
  }
  // Faults that belong to a call reject that call; others show at the next one.
  client.onerror = () => undefined
  try {
    await client.connect(transport, { timeout: timeoutMs })
    return Object.freeze({
      tools: await listTools((cursor) =>
        client.listTools(cursor === undefined ? {} : { cursor }, { timeout: timeoutMs }),
      ),
      get isClosed() {
        return isClosed
      },
      async call(tool: string, inputs: Readonly<Record<string, unknown>>, limits: CallLimits): Promise<unknown> {
        const options = { timeout: limits.timeoutMs, ...(limits.signal === undefined ? {} : { signal: limits.signal }) }
        const result = await client
          .callTool({ name: tool, arguments: { ...inputs } }, options)
          .catch((cause: unknown) => {
            const code = (cause as { code?: unknown } | undefined)?.code
            const isLate = code === 'REQUEST_TIMEOUT' || code === -32_001
            throw new BusError(
              isLate ? 'REQUEST_TIMEOUT' : 'HANDLER_FAILED',
              `${tool} of "${owner}" failed: ${describeThrown(cause)}`,
              { cause },
            )
          })
        return resultOf(owner, tool, result)
      },
      close: () => client.close(),
    })
  } catch (cause) {
    await client.close().catch(() => undefined)
    const said = lastWords()
    const why = said === '' ? describeThrown(cause) : `${describeThrown(cause)}; it said: ${said}`
    throw new BusError('HANDLER_FAILED', `"${owner}" cannot be reached: ${why}`, { cause })
  }
}

async function openTransport(target: McpTarget): Promise<{
  readonly transport: Parameters<import('@modelcontextprotocol/client').Client['connect']>[0]
  readonly lastWords: () => string
}> {
  if (target.type === 'http') {
    const { StreamableHTTPClientTransport } = await load(() => import('@modelcontextprotocol/client'))
    const transport = new StreamableHTTPClientTransport(new URL(target.url), {
      requestInit: { headers: { ...target.headers } },
    })
    return { transport, lastWords: () => '' }
  }
  const { StdioClientTransport, getDefaultEnvironment } = await load(() => import('@modelcontextprotocol/client/stdio'))
  const { command, args, env, folder } = target
  const transport = new StdioClientTransport({
    command,
    args: [...args],
    env: { ...getDefaultEnvironment(), ...env },
    cwd: folder,
    stderr: 'pipe',
  })
  let said = ''
  // Read to the end: a process whose pipe is full stands still.
  transport.stderr?.on('data', (chunk: Buffer) => {
    said = (said + String(chunk)).slice(-MOST_LAST_WORDS)
  })
  return { transport, lastWords: () => masked(said.trim(), Object.values(env)) }
}

/** What a process says may hold what it was given. */
function masked(text: string, secrets: readonly string[]): string {
  return secrets.filter((one) => one.length > 3).reduce((shown, one) => shown.replaceAll(one, '***'), text)
}

interface ToolPage {
  readonly tools: readonly {
    readonly name: string
    readonly title?: string | undefined
    readonly description?: string | undefined
    readonly inputSchema: object
    readonly annotations?: { readonly readOnlyHint?: boolean | undefined } | undefined
  }[]
  readonly nextCursor?: string | undefined
}

async function listTools(page: (cursor: string | undefined) => Promise<ToolPage>): Promise<readonly McpTool[]> {
  const tools: McpTool[] = []
  let cursor: string | undefined
  do {
    const { tools: some, nextCursor } = await page(cursor)
    for (const { name, title, description, inputSchema, annotations } of some) {
      tools.push({
        name,
        summary: description ?? title ?? name,
        inputs: inputSchema as Readonly<Record<string, unknown>>,
        isReadonly: annotations?.readOnlyHint === true,
      })
    }
    cursor = nextCursor
  } while (cursor !== undefined && cursor !== '' && tools.length < MOST_TOOLS)
  return tools.slice(0, MOST_TOOLS)
}

interface ToolResult {
  readonly content?:
    | readonly { readonly type: string; readonly text?: unknown; readonly mimeType?: unknown }[]
    | undefined
  readonly structuredContent?: unknown
  readonly isError?: boolean | undefined
}

/** What a tool answered: its structured content, else its texts; of a picture only that there is one. */
function resultOf(owner: string, tool: string, result: ToolResult): unknown {
  const texts = (result.content ?? []).map((block) =>
    typeof block.text === 'string'
      ? block.text
      : `[${block.type}${typeof block.mimeType === 'string' ? ` ${block.mimeType}` : ''}]`,
  )
  if (result.isError === true) throw new BusError('HANDLER_FAILED', `${tool} of "${owner}" failed: ${texts.join('\n')}`)
  return result.structuredContent ?? texts.join('\n')
}

async function load<T>(module: () => Promise<T>): Promise<T> {
  try {
    return await module()
  } catch (cause) {
    if ((cause as { code?: unknown } | undefined)?.code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new BusError(
      'UNSUPPORTED',
      '`mcp server` needs the package "@modelcontextprotocol/client": npm install @modelcontextprotocol/client',
      { cause },
    )
  }
}
