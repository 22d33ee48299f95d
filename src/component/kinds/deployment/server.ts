import type { Component } from '../../component.ts'
import type { Behaviour, KindDefinition, MakeContext } from '../../kind.ts'
import { type Asked, HttpFault, type HttpServer, listen, type Reply } from '../net/http.ts'
import { accessOf } from '../net/keys.ts'
import type { Settings } from '../settings.ts'
import { isRecord } from '../text.ts'

/** Serves components over HTTP: `POST /<component>/input {value}` asks one, `GET /components` lists them, `GET /health` says that it runs. */
export function componentServer(
  spec: { readonly name: string; readonly kind: KindDefinition['kind'] },
  settings: Settings,
  context: MakeContext,
): Behaviour {
  const { name } = spec
  const listed = settings.names('components')
  const timeoutMs = settings.ms('timeout') as number
  const access = accessOf(name, settings)
  let own: Component | undefined
  let http: HttpServer | undefined

  /** What is served: what is listed, else everything that can be asked. */
  function served(): readonly { readonly name: string; readonly kind: string; readonly role: string }[] {
    const all = context
      .components()
      .filter(({ role }) => role !== 'deployment' && role !== 'vm' && role !== 'bus' && role !== 'input')
    return listed.length === 0 ? all : all.filter((one) => listed.includes(one.name))
  }

  async function route(asked: Asked): Promise<Reply | undefined> {
    const { method, path } = asked
    if (method === 'GET' && path === '/health') return { status: 200, body: { status: 'ok', deployment: name } }
    if (method === 'GET' && path === '/components') return { status: 200, body: { components: served() } }
    const target = targetIn(path)
    if (target === undefined) return undefined
    if (method !== 'POST') throw new HttpFault(405, 'POST {"value": …} here')
    return ask(target, asked)
  }

  /** The component that a path names; with one component `/input` is enough. */
  function targetIn(path: string): string | undefined {
    const parts = /^\/(?:([^/]+)\/)?input$/.exec(path)
    if (parts === null) return undefined
    const components = served()
    if (parts[1] === undefined && components.length !== 1) return undefined
    const wanted = parts[1] === undefined ? components[0]?.name : decoded(parts[1])
    if (wanted !== undefined && components.some((one) => one.name === wanted)) return wanted
    const known = components.map((one) => one.name).join(', ')
    throw new HttpFault(404, `there is no component of that name here; there are: ${known || 'none'}`)
  }

  async function ask(target: string, asked: Asked): Promise<Reply> {
    const body = await asked.body()
    if (!isRecord(body) || body.value === undefined) throw new HttpFault(400, 'the body must be {"value": …}')
    const { value, session_id: session } = body
    if (session !== undefined && typeof session !== 'string') throw new HttpFault(400, '"session_id" must be a text')
    const options = { timeoutMs, signal: asked.signal, ...(session === undefined ? {} : { session }) }
    const result = await (own as Component).request(target, value, options)
    return { status: 200, body: { component: target, result: result ?? null } }
  }

  return {
    async start(component) {
      own = component
      http = await listen({
        owner: name,
        env: context.env,
        host: settings.text('host') as string,
        port: settings.number('port') as number,
        access,
        mostBodyBytes: settings.number('max_body') as number,
        keyless: ['/health'],
        route,
      })
      context.tell(
        `"${name}" serves ${
          served()
            .map((one) => one.name)
            .join(', ') || 'no components'
        } on ${http.url}`,
      )
    },
    stop: (limitMs) => http?.close(limitMs),
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new HttpFault(400, 'the path cannot be read')
  }
}
