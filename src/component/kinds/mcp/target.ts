import { resolve } from 'node:path'
import type { Settings } from '../settings.ts'

/** Where a server of the Model Context Protocol is. */
export type McpTarget =
  | { readonly type: 'http'; readonly url: string; readonly headers: Readonly<Record<string, string>> }
  | {
      readonly type: 'process'
      readonly command: string
      readonly args: readonly string[]
      /** Beside the few variables that every process gets. */
      readonly env: Readonly<Record<string, string>>
      readonly folder: string
    }

const ADDRESS = /^https?:\/\//
const MODULE = /\.[cm]?[jt]s$/
const PACKAGE = /^(?:@[\w.-]+\/)?[\w-][\w.-]*$/
const UNKNOWN =
  '"server" is a name that swarmbus cannot look up: give its `url`, or how it is started as `command` and `args`'

/** Names under which a token stands in `auth`. */
const TOKENS = new Set(['token', 'bearer', 'api_key', 'access_token'])

/**
 * Finds the server that the settings name: an address, a command, a module beside the .ww file, or a package of npm in a version.
 * Throws CONFIG_INVALID for a name that says none of these.
 */
export function mcpTarget(settings: Settings, folder: string): McpTarget {
  const server = settings.text('server') as string
  const url = settings.text('url') ?? (ADDRESS.test(server) ? server : undefined)
  if (url !== undefined) {
    const address = URL.parse(url)
    if (address?.protocol !== 'http:' && address?.protocol !== 'https:') {
      throw settings.fault('"url" must be an address that begins with http:// or https://')
    }
    return { type: 'http', url: address.href, headers: headersOf(settings) }
  }
  const command = settings.text('command')
  const args = settings.texts('args')
  const env = variablesOf(settings)
  if (command !== undefined) return { type: 'process', command, args, env, folder }
  if (MODULE.test(server)) {
    return { type: 'process', command: process.execPath, args: [resolve(folder, server), ...args], env, folder }
  }
  if (PACKAGE.test(server)) {
    const version = settings.text('version') as string
    return { type: 'process', command: 'npx', args: ['-y', `${server}@${version}`, ...args], env, folder }
  }
  throw settings.fault(UNKNOWN)
}

/** Why a server of this name cannot be found without more settings; undefined when it can, or when the name is not known. */
export function nameFault(server: string | undefined): string | undefined {
  if (server === undefined) return undefined
  return ADDRESS.test(server) || MODULE.test(server) || PACKAGE.test(server) ? undefined : UNKNOWN
}

/** Tool sets and "only reading" go to servers in the form that the one of GitHub takes; others leave them alone. */
function headersOf(settings: Settings): Readonly<Record<string, string>> {
  const auth = textsOf(settings, 'auth').map(([name, value]): readonly [string, string] =>
    TOKENS.has(name.toLowerCase()) ? ['authorization', `Bearer ${value}`] : [name, value],
  )
  const toolsets = settings.texts('toolsets').join(',')
  return Object.fromEntries([
    ...auth,
    ...(toolsets === '' ? [] : [['x-mcp-toolsets', toolsets] as const]),
    ...(settings.flag('readonly') ? [['x-mcp-readonly', 'true'] as const] : []),
  ])
}

function variablesOf(settings: Settings): Readonly<Record<string, string>> {
  const toolsets = settings.texts('toolsets').join(',')
  return Object.fromEntries([
    ...(toolsets === '' ? [] : [['GITHUB_TOOLSETS', toolsets] as const]),
    ...(settings.flag('readonly') ? [['GITHUB_READ_ONLY', '1'] as const] : []),
    ...textsOf(settings, 'env'),
    ...textsOf(settings, 'auth'),
  ])
}

function textsOf(settings: Settings, key: string): readonly (readonly [string, string])[] {
  return Object.entries(settings.block(key)).map(([name, value]) => [name, String(value)] as const)
}
