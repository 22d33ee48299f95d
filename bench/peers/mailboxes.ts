import { createBus } from '../../src/index.ts'
import type { Data } from '../harness/data.ts'
import type { Contestant } from '../harness/types.ts'
import { RingInbox } from '../ring.ts'
import { agentNames } from './swarmbus.ts'

/** Agents without handlers, numbered from 0: tasks that read their inboxes by hand. */
export interface Mailboxes {
  put(box: number, data: Data): Promise<unknown> | void
  /** To all of them. */
  broadcast(data: Data): Promise<unknown> | void
  receive(box: number): Promise<Data>
  close?(): Promise<unknown>
}

export interface MailboxMaker extends Pick<Contestant, 'name' | 'kind'> {
  /** `room`: most messages that wait in one of them. */
  open(count: number, room: number): Mailboxes
}

/** `register`, `send`, `receive`, `broadcast`. The queue limit is raised only where a row lets more wait than it allows. */
export const swarmbusMailboxes: MailboxMaker = {
  name: 'swarmbus',
  kind: 'ours',
  open(count, room) {
    const bus = createBus(room > 10_000 ? { limit: room } : {})
    const names = agentNames(count)
    const agents = names.map((name) => bus.register(name))
    return {
      put: (box, data) => bus.send(names[box] as string, data),
      broadcast: (data) => bus.broadcast(data),
      receive: async (box) => (await (agents[box] as (typeof agents)[number]).receive()).data as Data,
      close: () => bus.close(),
    }
  },
}

export const bareMailboxes: MailboxMaker = {
  name: 'bare ring inbox',
  kind: 'limit',
  open(count, room) {
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(room, 2)))
    const boxes = Array.from({ length: count }, () => new RingInbox<Data>(capacity))
    return {
      put: (box, data) => boxes[box]?.push(data),
      broadcast(data) {
        for (const box of boxes) box.push(data)
      },
      receive: (box) => (boxes[box] as RingInbox<Data>).receive(),
    }
  },
}

export const MAILBOXES: readonly MailboxMaker[] = [swarmbusMailboxes, bareMailboxes]
