import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Env } from '../../../kit/env.ts'
import { BusError, describeThrown, isBusError } from '../../../kit/errors.ts'
import { type Access, addressOf } from './access.ts'

/** What a route answers. */
export interface Reply {
  readonly status: number
  readonly body: unknown
}

/** One request that was let in. */
export interface Asked {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** Aborted when whoever asked is gone. */
  readonly signal: AbortSignal
  /** The body as JSON, or as text when it is sent as text; undefined for none. Throws {@link HttpFault}. */
  body(): Promise<unknown>
}

/** Answers requests; undefined: there is nothing at the path. */
export type Route = (asked: Asked) => Promise<Reply | undefined> | Reply | undefined

/** A fault that is answered with a status. */
export class HttpFault extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** How a server listens. */
export interface HttpOptions {
  readonly owner: string
  readonly env: Env
  readonly host: string
  /** 0 takes any free one. */
  readonly port: number
  readonly access: Access
  readonly mostBodyBytes: number
  /** Paths that need no key, such as `/health`. */
  readonly keyless?: readonly string[]
  readonly route: Route
}

/** A server that listens. */
export interface HttpServer {
  readonly server: Server
  /** `http://127.0.0.1:8000`. */
  readonly url: string
  /** Takes nothing new; resolves once what is open is answered, or the limit has passed and it was cut off. */
  close(limitMs: number): Promise<void>
}

/** Listens. Rejects with CONFIG_INVALID when the address cannot be had. */
export async function listen(options: HttpOptions): Promise<HttpServer> {
  const { owner, env, host, port } = options
  const server = createServer((request, response) => {
    answer(request, response, options).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined)
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.on('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'something listens there already' : cause.message
      reject(
        new BusError('CONFIG_INVALID', `"${owner}" cannot listen on ${host}:${port}: ${why}`, {
          cause,
          details: { component: owner },
        }),
      )
    })
    server.listen(port, host, resolve)
  })
  const shown = host.includes(':') ? `[${host}]` : host
  return Object.freeze({
    server,
    url: `http://${shown}:${(server.address() as AddressInfo).port}`,
    close(limitMs: number): Promise<void> {
      return new Promise((resolve) => {
        const timer = env.after(limitMs, () => server.closeAllConnections())
        server.close(() => {
          timer.cancel()
          resolve()
        })
        server.closeIdleConnections()
      })
    },
  })
}

async function answer(request: IncomingMessage, response: ServerResponse, options: HttpOptions): Promise<void> {
  const { access } = options
  const url = addressOf(request)
  const found = access.refuse(request)
  const refusal = found?.status === 401 && options.keyless?.includes(url.pathname) ? undefined : found
  const headers = access.headers(request)
  // A browser asks before it sends: that question has no key yet.
  if (request.method === 'OPTIONS' && refusal?.status !== 403)
    return send(response, headers, { status: 204, body: undefined })
  if (refusal !== undefined) return send(response, headers, { status: refusal.status, body: { error: refusal.error } })
  const gone = new AbortController()
  response.on('close', () => gone.abort())
  try {
    const reply = await options.route({
      method: request.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      signal: gone.signal,
      body: () => readBody(request, options.mostBodyBytes),
    })
    send(
      response,
      headers,
      reply ?? { status: 404, body: { error: `there is nothing at ${request.method} ${url.pathname}` } },
    )
  } catch (error) {
    send(response, headers, { status: statusOf(error), body: { error: faultText(error), ...codeOf(error) } })
  }
}

function send(response: ServerResponse, headers: Readonly<Record<string, string>>, { status, body }: Reply): void {
  if (response.destroyed || response.headersSent) return
  const text = body === undefined ? '' : JSON.stringify(body)
  // A body that was not read whole would be taken for the next request.
  const end = status === 413 ? { connection: 'close' } : {}
  response.writeHead(status, {
    ...headers,
    ...end,
    'content-type': 'application/json; charset=utf-8',
    'x-content-type-options': 'nosniff',
  })
  response.end(text)
}

async function readBody(request: IncomingMessage, most: number): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length
    if (bytes > most) throw new HttpFault(413, `the body is larger than ${most} bytes`)
    chunks.push(chunk as Buffer)
  }
  if (bytes === 0) return undefined
  const text = Buffer.concat(chunks).toString('utf8')
  const type = request.headers['content-type'] ?? ''
  if (/^text\/plain/i.test(type)) return text
  try {
    return JSON.parse(text) as unknown
  } catch {
    // What curl says of everything it sends with `-d`.
    if (/^application\/x-www-form-urlencoded/i.test(type)) {
      return /^[\w.-]+=/.test(text) ? Object.fromEntries(new URLSearchParams(text)) : text
    }
    throw new HttpFault(400, 'the body is no JSON; plain text is sent as text/plain')
  }
}

const STATUS: Readonly<Record<string, number>> = {
  UNKNOWN_AGENT: 404,
  SCHEMA_MISMATCH: 400,
  INVALID_MESSAGE: 400,
  REQUEST_TIMEOUT: 504,
  HANDLER_TIMEOUT: 504,
  HANDLER_FAILED: 502,
}

function statusOf(error: unknown): number {
  if (error instanceof HttpFault) return error.status
  return isBusError(error) ? (STATUS[error.code] ?? 503) : 500
}

function faultText(error: unknown): string {
  return error instanceof HttpFault || isBusError(error) ? error.message : describeThrown(error)
}

function codeOf(error: unknown): { readonly code?: string } {
  return isBusError(error) ? { code: error.code } : {}
}
