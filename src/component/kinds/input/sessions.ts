import { unguessable } from '../../../kit/env.ts'
import type { EmitResult } from '../../component.ts'
import type { ClientEvent } from '../net/events.ts'
import type { Socket } from '../net/sockets.ts'
import { type ClientMessage, readClientMessage } from './client-message.ts'

/** Most messages of one socket that wait for those before them. */
const MOST_WAITING = 100

interface Client {
  readonly session: string
  readonly socket: Socket
  /** Components whose events it wants; undefined for all. */
  components: ReadonlySet<string> | undefined
  /** Its messages one after the other: what it said first is emitted first. */
  work: Promise<void>
  waiting: number
}

/** What the clients of an input need from it. */
export interface ClientHost {
  readonly name: string
  now(): number
  /** Emits what a client said, in its session. */
  take(message: Extract<ClientMessage, { type: 'input' | 'answer' }>, session: string): Promise<EmitResult>
}

/** The sockets of an input, each with a session of its own that nobody can guess. */
export class Clients {
  readonly #host: ClientHost
  readonly #bySocket = new Map<Socket, Client>()
  readonly #bySession = new Map<string, Client>()

  constructor(host: ClientHost) {
    this.#host = host
  }

  opened(socket: Socket): void {
    const client: Client = {
      session: unguessable(),
      socket,
      components: undefined,
      work: Promise.resolve(),
      waiting: 0,
    }
    this.#bySocket.set(socket, client)
    this.#bySession.set(client.session, client)
    this.#say(client, 'session.connected', { session_id: client.session, subscribed_components: ['*'] })
  }

  closed(socket: Socket): void {
    const client = this.#bySocket.get(socket)
    if (client === undefined) return
    this.#bySocket.delete(socket)
    this.#bySession.delete(client.session)
  }

  message(socket: Socket, text: string): void {
    const client = this.#bySocket.get(socket)
    const message = readClientMessage(text)
    if (client === undefined || message === undefined) return
    if (client.waiting >= MOST_WAITING) {
      this.#say(client, 'error', { error: `${MOST_WAITING} messages of yours wait already` })
      return
    }
    client.waiting++
    client.work = client.work.then(() => this.#handle(client, message)).finally(() => client.waiting--)
  }

  /** Hands an event to the client of its session, and to no other. */
  forward(event: ClientEvent): void {
    const client = this.#bySession.get(event.session_id)
    if (client === undefined || client.components?.has(event.sender) === false) return
    client.socket.send(event)
  }

  async #handle(client: Client, message: ClientMessage): Promise<void> {
    switch (message.type) {
      case 'fault':
        return this.#say(client, 'error', { error: message.error })
      case 'subscribe': {
        const all = message.components.includes('*')
        client.components = all ? undefined : new Set(message.components)
        return this.#say(client, 'subscribed', { components: all ? ['*'] : message.components })
      }
      case 'input':
      case 'answer':
        try {
          const fault = faultOf(await this.#host.take(message, client.session))
          if (fault !== undefined) this.#say(client, 'error', { error: fault })
        } catch (error) {
          this.#say(client, 'error', { error: (error as Error).message })
        }
        return
      default:
        message satisfies never
    }
  }

  #say({ socket, session }: Client, event: string, payload: unknown): void {
    socket.send({
      event,
      payload,
      sender: this.#host.name,
      session_id: session,
      timestamp: this.#host.now(),
    } satisfies ClientEvent)
  }
}

/** Why what was emitted reached nobody; undefined when it reached somebody, or was for nobody. */
export function faultOf({ stoppedBy, failed, delivered }: EmitResult): string | undefined {
  if (stoppedBy !== undefined) return `"${stoppedBy}" stopped it`
  if (failed.length === 0 || delivered.length > 0) return undefined
  return failed.map(({ target, error }) => `"${target}" could not get it: ${(error as Error).message}`).join('; ')
}
