import { unguessable } from '../../../kit/env.ts'
import { BusError } from '../../../kit/errors.ts'
import type { Component, EmitResult } from '../../component.ts'
import type { Behaviour, KindDefinition, MakeContext } from '../../kind.ts'
import { ANSWERED } from '../agent/ask-user.ts'
import { defineKind } from '../define.ts'
import { clientEvent } from '../net/events.ts'
import { type Asked, HttpFault, type HttpServer, listen, type Reply } from '../net/http.ts'
import { accessOf, netKeys } from '../net/keys.ts'
import { type Sockets, takeSockets } from '../net/sockets.ts'
import { type Settings, settingsOf } from '../settings.ts'
import { isRecord, jsonOf } from '../text.ts'
import { type ClientMessage, readClientObject } from './client-message.ts'
import { Clients, faultOf } from './sessions.ts'
import { isEnd, isLastWord, Waiters, wasOnTheWay } from './waiters.ts'

/** `input api`: people and programs come in by sockets and HTTP; each socket is a session, and sees the events of that one only. */
export const API_INPUT: KindDefinition = defineKind({
  kind: 'input api',
  also: ['api input'],
  role: 'input',
  summary: 'takes input by WebSocket and HTTP, and tells each client the events of its session',
  keys: {
    ...netKeys(8_000),
    local: {
      type: 'flag',
      default: true,
      summary: 'from older files: only this machine can reach it',
      noEffect: '`host` says who can reach it',
    },
    max_clients: { type: 'whole', min: 1, default: 1_000, summary: 'most sockets at once' },
    ping: { type: 'duration', min: 0.1, default: 30, summary: 'how often a silent socket is asked for a sign of life' },
    timeout: {
      type: 'duration',
      min: 0.001,
      default: 60,
      summary: 'how long `POST /input?wait=true` waits for the answer',
    },
  },
  make: (spec, context) => apiInput(spec.name, settingsOf(spec, API_INPUT), context),
})

function apiInput(name: string, settings: Settings, context: MakeContext): Behaviour {
  const { env } = context
  const access = accessOf(name, settings)
  const mostBodyBytes = settings.number('max_body') as number
  const waiters = new Waiters(env, name, settings.ms('timeout') as number)
  let own: Component
  let http: HttpServer | undefined
  let sockets: Sockets | undefined
  let unwatch: (() => void)[] = []
  let isPaused = false

  const clients = new Clients({ name, now: () => env.wallMs(), take })

  function take(message: Extract<ClientMessage, { type: 'input' | 'answer' }>, session: string): Promise<EmitResult> {
    if (isPaused) throw new BusError('BUS_CLOSED', 'the swarm ends: nothing new is taken')
    if (message.type === 'answer') {
      const { response, requestId } = message
      return own.emit(ANSWERED, { response, request_id: requestId, session_id: session }, { session, route: false })
    }
    const { input, inputs } = message
    return own.emit('input.received', { input, inputs, session_id: session }, { session })
  }

  async function route(asked: Asked): Promise<Reply | undefined> {
    const { method, path } = asked
    if (method === 'GET' && path === '/health') {
      return {
        status: isPaused ? 503 : 200,
        body: { status: isPaused ? 'ending' : 'ok', component: name, clients: sockets?.count ?? 0 },
      }
    }
    if (path !== '/input') return undefined
    if (method !== 'POST') throw new HttpFault(405, 'POST what is said, or open a WebSocket here')
    return post(asked)
  }

  async function post(asked: Asked): Promise<Reply> {
    const body = await asked.body()
    const object = isRecord(body) ? body : { input: body }
    const message = readClientObject(object)
    if (message.type === 'fault') throw new HttpFault(400, message.error)
    if (message.type === 'subscribe') throw new HttpFault(400, 'subscribe by a WebSocket')
    const session = sessionIn(object.session_id)
    const isWaiting = object.wait === true || ['1', 'true', ''].includes(asked.query.get('wait') ?? 'no')
    // Before it is emitted: the answer may be there at once.
    const answer = isWaiting && message.type === 'input' ? waiters.open(session, asked.signal) : undefined
    try {
      const result = await take(message, session)
      const fault = faultOf(result)
      if (fault !== undefined) throw new HttpFault(result.stoppedBy === undefined ? 503 : 422, fault)
      if (answer === undefined) return { status: 202, body: { accepted: true, session_id: session } }
      return { status: 200, body: { session_id: session, response: await answer.promise } }
    } finally {
      answer?.close()
    }
  }

  return {
    routes: ['input.received'],
    async start(component) {
      own = component
      const unobserve = context.observe((payload, info) => {
        const event = clientEvent(payload, info)
        if (event === undefined) return
        clients.forward(event)
        const { session_id: session } = event
        if (!waiters.has(session)) return
        if (isEnd(info, context)) waiters.failed(session, agentFault(payload))
        else if (info.component !== name && isLastWord(info, context)) waiters.answered(session, payload)
      })
      const unhear = context.onFault((fault) => {
        const { session, component: sender, message } = fault
        if (session === undefined || !wasOnTheWay(fault, context)) return
        const payload = { error: message, component: sender }
        clients.forward({ event: 'component.error', payload, sender, session_id: session, timestamp: env.wallMs() })
        waiters.failed(session, new BusError('HANDLER_FAILED', message))
      })
      unwatch = [unobserve, unhear]
      http = await listen({
        owner: name,
        env,
        host: settings.text('host') as string,
        port: settings.number('port') as number,
        access,
        mostBodyBytes,
        keyless: ['/health'],
        route,
      })
      sockets = await takeSockets(
        http.server,
        {
          env,
          access,
          paths: ['/', '/ws', '/input'],
          mostBytes: mostBodyBytes,
          mostSockets: settings.number('max_clients') as number,
          pingMs: settings.ms('ping') as number,
        },
        {
          opened: (socket) => clients.opened(socket),
          message: (socket, text) => clients.message(socket, text),
          closed: (socket) => clients.closed(socket),
        },
      )
      context.tell(`"${name}" listens on ${http.url}`)
    },
    pause() {
      isPaused = true
    },
    async stop(limitMs) {
      isPaused = true
      for (const end of unwatch) end()
      waiters.end()
      await sockets?.close(limitMs / 2)
      await http?.close(limitMs / 2)
    },
  }
}

function agentFault(payload: unknown): BusError {
  return new BusError('HANDLER_FAILED', isRecord(payload) ? jsonOf(payload.error) : jsonOf(payload))
}

/** The session a program names, or a new one that nobody can guess. */
function sessionIn(given: unknown): string {
  if (given === undefined || given === null) return unguessable()
  if (typeof given === 'string' && given !== '' && given.length <= 200) return given
  throw new HttpFault(400, '"session_id" must be a text of at most 200 characters')
}
