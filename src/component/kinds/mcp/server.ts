import { BusError } from '../../../kit/errors.ts'
import type { Behaviour, KindDefinition } from '../../kind.ts'
import { defineKind } from '../define.ts'
import { settingsOf } from '../settings.ts'
import { toolRequestOf } from '../text.ts'
import { connectMcp, type McpConnection, type McpTool } from './connect.ts'
import { mcpTarget, nameFault } from './target.ts'

/** `mcp server`: the tools of a server of the Model Context Protocol, over its input and output or over HTTP. */
export const MCP_SERVER: KindDefinition = defineKind({
  kind: 'mcp server',
  role: 'tool',
  summary: 'the tools of a server of the Model Context Protocol',
  keys: {
    server: {
      type: 'text',
      required: true,
      summary: 'an address, a module beside the .ww file, a package of npm, or any name beside `url` or `command`',
    },
    version: { type: 'text', default: 'latest', summary: 'the version of the package' },
    url: { type: 'text', summary: 'the address of a server over HTTP' },
    command: { type: 'text', summary: 'the program that is started' },
    args: { type: 'texts', summary: 'its arguments' },
    env: { type: 'block', secret: true, summary: 'its variables, beside the few that every process gets' },
    auth: { type: 'block', secret: true, summary: '`token`, or headers by name; variables for a program' },
    toolsets: { type: 'texts', summary: 'sets of tools, for servers that have some' },
    readonly: { type: 'flag', default: false, summary: 'offers only tools that say they change nothing' },
    timeout: { type: 'duration', min: 0.001, default: 60, summary: 'how long the start, or one call, may take' },
  },
  cannotRun: (has, textOf) => (has('url') || has('command') ? undefined : nameFault(textOf('server'))),
  make(spec, { folder }): Behaviour {
    const { name } = spec
    const settings = settingsOf(spec, MCP_SERVER)
    const target = mcpTarget(settings, folder)
    const timeoutMs = settings.ms('timeout') as number
    const isReadonly = settings.flag('readonly')
    let opening: Promise<McpConnection> | undefined
    let offered: readonly McpTool[] = []
    let isOver = false

    /** The connection; a lost one is made anew by whoever asks next. */
    async function connected(): Promise<McpConnection> {
      if (isOver) throw new BusError('BUS_CLOSED', `"${name}" has ended`)
      const before = opening
      const known = await before?.catch(() => undefined)
      // Somebody else has seen it first.
      if (opening !== before) return connected()
      if (known !== undefined && !known.isClosed) return known
      opening = connectMcp(name, target, timeoutMs)
      const connection = await opening
      offered = isReadonly ? connection.tools.filter((tool) => tool.isReadonly) : connection.tools
      return connection
    }

    return {
      handlerTimeoutMs: timeoutMs + 1_000,
      tools: () => offered.map(({ name: tool, summary, inputs }) => ({ name: tool, summary, inputs })),
      async start() {
        await connected()
      },
      async handle({ data }, { signal }) {
        const asked = toolRequestOf(data)
        const connection = await connected()
        const tool = offered.find((one) => one.name === asked?.action)
        if (asked === undefined || tool === undefined) {
          const what =
            asked === undefined
              ? 'is asked by { action, inputs }'
              : `has no tool "${asked.action}"${isReadonly ? ' that only reads' : ''}`
          throw new BusError(
            'HANDLER_FAILED',
            `"${name}" ${what}; there are: ${offered.map((one) => one.name).join(', ') || 'none'}`,
          )
        }
        return connection.call(tool.name, asked.inputs, { timeoutMs, signal })
      },
      async stop() {
        isOver = true
        const connection = await opening?.catch(() => undefined)
        await connection?.close()
      },
    }
  },
})
