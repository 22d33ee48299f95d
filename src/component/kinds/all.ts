import type { KindDefinition } from '../kind.ts'
import { AGENT, OWN_MODEL_AGENTS } from './agent/agent.ts'
import { ANALYTICS } from './analytics.ts'
import { FUNCTIONS } from './api/functions.ts'
import { WEB } from './api/web.ts'
import { BUS_KINDS } from './bus.ts'
import { DEPLOYMENT_KINDS } from './deployment/kinds.ts'
import { API_INPUT } from './input/api.ts'
import { COMMAND_LINE } from './input/command-line.ts'
import { TEXT_FILE } from './knowledge/text-file.ts'
import { KNOWN_KINDS } from './known.ts'
import { LLMS } from './llm/kinds.ts'
import { MCP_SERVER } from './mcp/server.ts'
import { SHORT_TERM } from './memory/short-term.ts'
import { CONSOLE } from './output/console.ts'
import { WEBSOCKET } from './output/websocket.ts'

/** Every kind that comes with swarmbus. */
export const KINDS: readonly KindDefinition[] = Object.freeze([
  COMMAND_LINE,
  API_INPUT,
  ...LLMS,
  AGENT,
  ...OWN_MODEL_AGENTS,
  TEXT_FILE,
  SHORT_TERM,
  FUNCTIONS,
  WEB,
  MCP_SERVER,
  CONSOLE,
  WEBSOCKET,
  ANALYTICS,
  ...DEPLOYMENT_KINDS,
  ...BUS_KINDS,
  ...KNOWN_KINDS,
])
