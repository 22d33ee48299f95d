import { describeThrown } from '../../../kit/errors.ts'
import type { Component } from '../../component.ts'
import type { Behaviour, KindDefinition, MakeContext } from '../../kind.ts'
import { defineKind } from '../define.ts'
import type { ClientEvent } from '../net/events.ts'
import { type HttpServer, listen } from '../net/http.ts'
import { accessOf, netKeys } from '../net/keys.ts'
import { type Socket, type Sockets, takeSockets } from '../net/sockets.ts'
import { type Settings, settingsOf } from '../settings.ts'
import { isRecord } from '../text.ts'

/** `output websocket`: whoever opens a socket with `?session=ID` gets what is sent here in that session, parts of streams as they come. */
export const WEBSOCKET: KindDefinition = defineKind({
  kind: 'output websocket',
  role: 'output',
  summary: 'sends to WebSockets, each of which names its session',
  keys: {
    ...netKeys(8_001),
    max_clients: { type: 'whole', min: 1, default: 1_000, summary: 'most sockets at once' },
    ping: { type: 'duration', min: 0.1, default: 30, summary: 'how often a silent socket is asked for a sign of life' },
  },
  make: (spec, context) => websocket(spec.name, settingsOf(spec, WEBSOCKET), context),
})

function websocket(name: string, settings: Settings, context: MakeContext): Behaviour {
  const { env } = context
  const access = accessOf(name, settings)
  const mostBytes = settings.number('max_body') as number
  /** The session that a socket named; it gets nothing before it has. */
  const sessions = new Map<Socket, string | undefined>()
  let own: Component | undefined
  let http: HttpServer | undefined
  let sockets: Sockets | undefined

  function send(event: ClientEvent): void {
    for (const [socket, session] of sessions) if (session === event.session_id) socket.send(event)
  }

  return {
    streamingInput: true,
    async handle({ data, from, session, headers, time }) {
      // What belongs to no session is for no socket.
      if (session === undefined) return undefined
      const event = (payload: unknown, what: string): ClientEvent => ({
        event: what,
        payload,
        sender: from ?? name,
        session_id: session,
        timestamp: time,
      })
      const routed = headers.event ?? 'message'
      if (typeof data !== 'string' || !data.startsWith('stream:') || own === undefined) {
        send(event(data, routed))
        return undefined
      }
      const parts: unknown[] = []
      const chunk = (index: number, more: object): void =>
        send(event({ stream_id: streamId, chunk_index: index, ...more }, 'stream.chunk'))
      const streamId = data.slice('stream:'.length)
      let next = 0
      try {
        for await (const { index, data: part } of own.readStream(data)) {
          next = index + 1
          if (part === undefined) continue
          parts.push(part)
          chunk(index, { data: part, is_final: false })
        }
      } catch (error) {
        chunk(next, { is_final: true, metadata: { error: describeThrown(error) } })
        return undefined
      }
      chunk(next, { is_final: true })
      send(event(parts.every((part) => typeof part === 'string') ? parts.join('') : parts, routed))
      return undefined
    },
    async start(component) {
      own = component
      http = await listen({
        owner: name,
        env,
        host: settings.text('host') as string,
        port: settings.number('port') as number,
        access,
        mostBodyBytes: mostBytes,
        keyless: ['/health'],
        route: ({ path }) =>
          path === '/health'
            ? { status: 200, body: { status: 'ok', component: name, clients: sockets?.count ?? 0 } }
            : undefined,
      })
      const mostSockets = settings.number('max_clients') as number
      sockets = await takeSockets(
        http.server,
        { env, access, paths: ['/', '/ws'], mostBytes, mostSockets, pingMs: settings.ms('ping') as number },
        {
          opened: (socket) => sessions.set(socket, socket.query.get('session') ?? undefined),
          closed: (socket) => sessions.delete(socket),
          message(socket, text) {
            const session = namedSession(text)
            if (session === undefined)
              socket.send({ event: 'error', payload: { error: 'send {"type":"subscribe","session_id":"…"}' } })
            else sessions.set(socket, session)
          },
        },
      )
      context.tell(`"${name}" sends on ${http.url.replace('http', 'ws')}/?session=ID`)
    },
    async stop(limitMs) {
      await sockets?.close(limitMs / 2)
      await http?.close(limitMs / 2)
    },
  }
}

function namedSession(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) && typeof value.session_id === 'string' ? value.session_id : undefined
  } catch {
    return undefined
  }
}
