import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { BusError, describeThrown } from '../../../kit/errors.ts'
import type { Behaviour, KindDefinition } from '../../kind.ts'
import { defineKind } from '../define.ts'
import { settingsOf } from '../settings.ts'
import { isRecord, jsonOf, toolRequestOf } from '../text.ts'

/** How often an answer may send elsewhere on the same server. */
const MOST_REDIRECTS = 5
/** Characters of the documentation that a model is shown. */
const MOST_DOCUMENTATION = 8_000
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'] as const

/** `api web`: calls to one base address, and to nothing outside of it. */
export const WEB: KindDefinition = defineKind({
  kind: 'api web',
  role: 'tool',
  summary: 'calls an HTTP API at a base address',
  keys: {
    url: { type: 'text', required: true, summary: 'the base address: everything that is called lies under it' },
    documentation: {
      type: 'text',
      summary: 'what there is to call, as a text or as a file beside the .ww file; agents read it',
    },
    headers: { type: 'block', secret: true, summary: 'sent with every call' },
    api_key: { type: 'text', secret: true, summary: 'sent as `Authorization: Bearer`' },
    methods: { type: 'texts', summary: `the methods that may be used; without it all of ${METHODS.join(', ')}` },
    timeout: { type: 'duration', min: 0.001, default: 30, summary: 'how long one call may take' },
    max_bytes: { type: 'whole', min: 1, default: 1_048_576, summary: 'most bytes of an answer' },
  },
  async make(spec, { env, folder }): Promise<Behaviour> {
    const settings = settingsOf(spec, WEB)
    const base = URL.parse(settings.text('url') as string)
    if (base === null || (base.protocol !== 'http:' && base.protocol !== 'https:'))
      throw settings.fault('"url" must be an address that begins with http:// or https://')
    const key = settings.text('api_key')
    const given = Object.entries(settings.block('headers')).map(([name, value]) => [name, String(value)] as const)
    const headers = { ...(key === undefined ? {} : { authorization: `Bearer ${key}` }), ...Object.fromEntries(given) }
    const timeoutMs = settings.ms('timeout') as number
    const methods = settings.texts('methods').map((one) => one.toUpperCase())
    const allowed: readonly string[] = methods.length === 0 ? METHODS : methods
    const documentation = await documentationOf(settings.text('documentation'), folder)
    const summary = [settings.text('description') ?? `calls the HTTP API at ${base.href}`, documentation]
      .filter((text) => text !== '')
      .join('\n\n')
    const mostBytes = settings.number('max_bytes') as number

    return {
      handlerTimeoutMs: timeoutMs + 1_000,
      tools: () => [
        {
          name: 'request',
          summary,
          inputs: {
            type: 'object',
            properties: {
              path: { type: 'string', description: 'under the base address' },
              method: { type: 'string', enum: allowed, default: 'GET' },
              query: { type: 'object', description: 'behind the ?' },
              body: { description: 'sent as JSON; a text is sent as it is' },
            },
            required: ['path'],
            additionalProperties: false,
          },
        },
      ],
      async handle({ data }, { signal }) {
        const call = callIn(data)
        if (!allowed.includes(call.method))
          throw new BusError('HANDLER_FAILED', `"${spec.name}" may not ${call.method}; allowed: ${allowed.join(', ')}`)
        const url = addressUnder(base, call.path)
        for (const [name, value] of Object.entries(call.query)) url.searchParams.set(name, jsonOf(value))
        const isText = typeof call.body === 'string'
        const body = call.body === undefined ? {} : { body: jsonOf(call.body) }
        const type =
          call.body === undefined ? {} : { 'content-type': isText ? 'text/plain; charset=utf-8' : 'application/json' }
        const over = new AbortController()
        const timer = env.after(timeoutMs, () => over.abort())
        try {
          return await follow(
            url,
            base,
            {
              method: call.method,
              headers: { ...type, ...headers },
              ...body,
              signal: AbortSignal.any([signal, over.signal]),
            },
            mostBytes,
          )
        } catch (cause) {
          if (cause instanceof BusError) throw cause
          const why = over.signal.aborted
            ? `no answer within ${timeoutMs / 1_000} s`
            : describeThrown((cause as Error).cause ?? cause)
          throw new BusError('HANDLER_FAILED', `"${spec.name}": ${call.method} ${url.pathname} failed: ${why}`, {
            cause,
          })
        } finally {
          timer.cancel()
        }
      },
    }
  },
})

interface Call {
  readonly path: string
  readonly method: string
  readonly query: Readonly<Record<string, unknown>>
  readonly body: unknown
}

/** What is to be called: `{ action: request, inputs }`, the action itself as the path, or a text that is the path. */
function callIn(data: unknown): Call {
  if (typeof data === 'string') return { path: data, method: 'GET', query: {}, body: undefined }
  const asked = toolRequestOf(data)
  const inputs = asked?.inputs ?? (isRecord(data) ? data : {})
  const path = inputs.path ?? (asked?.action === 'request' ? undefined : asked?.action)
  if (typeof path !== 'string')
    throw new BusError('HANDLER_FAILED', '"path" is missing: what is called, under the base address')
  const known = inputs.path !== undefined
  return {
    path,
    method: typeof inputs.method === 'string' ? inputs.method.toUpperCase() : 'GET',
    // Of an action that is a path, the inputs are what stands behind the ?.
    query: known ? (isRecord(inputs.query) ? inputs.query : {}) : inputs,
    body: known ? inputs.body : undefined,
  }
}

/** The address of a path under the base. Throws HANDLER_FAILED for one outside of it, however it is written. */
export function addressUnder(base: URL, path: string): URL {
  const root = base.pathname.endsWith('/') ? base.pathname : `${base.pathname}/`
  const isAddress = /^[a-z][a-z\d+.-]*:|^\/\/|^\\/i.test(path)
  const url = isAddress
    ? URL.parse(path, base.href)
    : URL.parse(`.${path.startsWith('/') ? '' : '/'}${path}`, new URL(root, base).href)
  if (url === null || url.origin !== base.origin || !`${url.pathname}/`.startsWith(root)) {
    throw new BusError('HANDLER_FAILED', `the path leads out of ${base.origin}${root}`)
  }
  return url
}

async function follow(first: URL, base: URL, init: RequestInit, mostBytes: number): Promise<unknown> {
  let url = first
  let request = init
  for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
    const response = await fetch(url, { ...request, redirect: 'manual' })
    const location = response.headers.get('location')
    if (response.status < 300 || response.status > 399 || location === null) return answerOf(response, mostBytes)
    await response.body?.cancel()
    const next = URL.parse(location, url.href)
    // The key goes along: never to a stranger.
    if (next === null || next.origin !== base.origin)
      throw new BusError('HANDLER_FAILED', `the answer sends elsewhere than ${base.origin}`)
    url = next
    if (response.status === 303) {
      const { body: _body, ...rest } = request
      request = { ...rest, method: 'GET' }
    }
  }
  throw new BusError('HANDLER_FAILED', `the answer sends elsewhere more than ${MOST_REDIRECTS} times`)
}

async function answerOf(response: Response, mostBytes: number): Promise<unknown> {
  const text = await textWithin(response, mostBytes)
  const isJson = /\bjson\b/i.test(response.headers.get('content-type') ?? '')
  return { status: response.status, body: isJson ? parsed(text) : text }
}

async function textWithin(response: Response, most: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > most) throw new BusError('HANDLER_FAILED', `the answer is larger than ${most} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

/** A file beside the .ww file if there is one of that name, else the text itself. */
async function documentationOf(given: string | undefined, folder: string): Promise<string> {
  if (given === undefined) return ''
  const text = given.includes('\n') ? given : await readFile(resolve(folder, given), 'utf8').catch(() => given)
  return text.slice(0, MOST_DOCUMENTATION)
}
