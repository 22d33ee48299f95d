// Who works in this process and who in another one: how they are found, waited for, and asked again when their process has gone.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bus, BusError, type ErrorCode, isBusError, type Priority, type Publisher } from 'swarmbus'
import type { Event, Observer } from './observer.ts'
import type { Said } from './work.ts'

/** The agents of the swarm; any of them may run in any process. */
export const AGENTS = ['harold', 'pink', 'red', 'validator', 'ring'] as const
export type AgentName = (typeof AGENTS)[number]

/** Who answers on a topic. */
const RESPONDERS: Readonly<Record<string, readonly AgentName[]>> = {
  coding: ['pink', 'red'],
  'agent.validator': ['validator'],
  review: ['validator'],
  monitor: ['ring'],
  deploy: ['harold'],
}

/** Whoever was asked could not finish, or nobody was there: somebody else may. */
const ASK_AGAIN: readonly ErrorCode[] = [
  'NO_RESPONDERS',
  'PROCESS_LOST',
  'NOT_RUNNING',
  'SUBSCRIPTION_ENDED',
  'BUS_CLOSED',
  'BROKER_TIMEOUT',
  'BROKER_UNREACHABLE',
]
/** Of these, what is told in other words. */
const QUIET: readonly ErrorCode[] = ['NO_RESPONDERS', 'BROKER_TIMEOUT', 'BROKER_UNREACHABLE']
const LOOK_MS = 100
/** A process is heard of well within this time after its first message. */
const JUST_NOW_MS = 2_000

/** A request that is made again while somebody may still take it. Rejects as `request` does for everything else. */
export type Ask = <R extends Said>(verbs: Publisher, topic: string, data: Said, options: AskOptions) => Promise<R>

/** Who asks, how urgently, and until when. */
export interface AskOptions {
  readonly from: string
  readonly priority: Priority
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** The registered agents of all processes; one that works in two of them is there twice. */
export function agentsThere(bus: Bus): readonly string[] {
  const here = bus.agents().filter(({ registeredAt }) => registeredAt !== undefined)
  return [...here, ...bus.processes().flatMap(({ agents }) => agents)].map(({ name }) => name)
}

/** Makes requests whose answers the observer sees, and which wait for agents that are not there yet. */
export function createAsk(bus: Bus, observer: Observer, tell: (event: Event) => void): Ask {
  const told = new Map<string, string>()
  /** Says why requests on a topic wait; once, until one is answered. */
  const note = (topic: string, text: string): void => {
    if (told.get(topic) === text) return
    told.set(topic, text)
    tell({ type: 'note', text })
  }
  return async <R extends Said>(
    verbs: Publisher,
    topic: string,
    data: Said,
    { from, priority, timeoutMs, signal }: AskOptions,
  ): Promise<R> => {
    const dueMs = performance.now() + timeoutMs
    for (;;) {
      const leftMs = Math.ceil(dueMs - performance.now())
      if (leftMs < 1) throw new BusError('REQUEST_TIMEOUT', `nobody finished "${topic}" in time`)
      try {
        const answer = await verbs.request<R>(topic, data, { from, priority, signal, timeoutMs: leftMs })
        told.delete(topic)
        observer.answered(answer)
        return answer.data
      } catch (error) {
        if (signal.aborted || !isBusError(error) || !ASK_AGAIN.includes(error.code)) throw error
        if (!QUIET.includes(error.code)) note(topic, `${error.message}; "${topic}" is asked again.`)
      }
      await untilThere(bus, topic, dueMs, signal, () => {
        const who = RESPONDERS[topic]?.join(' or ') ?? 'somebody'
        note(topic, `Nobody is there for "${topic}" now: it waits for a process with ${who}.`)
      })
    }
  }
}

/**
 * Resolves when the broker is connected and somebody for the topic is there, or the time is up; a little later at least, so that nobody
 * asks in a circle.
 */
async function untilThere(
  bus: Bus,
  topic: string,
  dueMs: number,
  signal: AbortSignal,
  onMissing: () => void,
): Promise<void> {
  const responders: readonly string[] = RESPONDERS[topic] ?? []
  do {
    // The reason says why nobody needs it any more; the timer would only say that it was aborted.
    await sleep(LOOK_MS, undefined, { signal }).catch(() => signal.throwIfAborted())
    if (bus.stats().wire?.connected === false) continue
    if (agentsThere(bus).some((name) => responders.includes(name))) return
    onMissing()
  } while (performance.now() < dueMs)
}

/**
 * A name under which no other process gives tasks: `you`, else `you-2` and so on. Reports wait under the name, so that whoever takes it
 * next gets those that a process left behind. Of two processes that want it at the same moment, the log decides who came first.
 */
export async function takeName(bus: Bus): Promise<string> {
  const id = bus.stats().wire?.id
  if (id === undefined) return 'you'
  for (let number = 1; ; number++) {
    const name = number === 1 ? 'you' : `you-${number}`
    if (agentsThere(bus).includes(name)) continue
    await bus.publish('names', { name, process: id })
    if ((await firstWith(bus, name, id)) === id) return name
  }
}

/** The process that claimed a name before all others that are there. One that claimed it just now may not have been heard of yet. */
async function firstWith(bus: Bus, name: string, own: string): Promise<string | undefined> {
  for (;;) {
    const there = new Set([own, ...bus.processes().map((one) => one.id)])
    let first: string | undefined
    let isSure = true
    for await (const { data, time } of bus.replay<{ name: string; process: string }>('names')) {
      if (data.name !== name || first !== undefined) continue
      if (there.has(data.process)) first = data.process
      else if (Date.now() - time < JUST_NOW_MS) isSure = false
    }
    if (isSure) return first
    await sleep(LOOK_MS)
  }
}

/** Tells of processes that come and go, and of the connection to the broker. Returns how to end it. */
export function watchProcesses(bus: Bus, tell: (event: Event) => void): () => void {
  const own = bus.stats().name
  const note = (text: string): void => tell({ type: 'note', text })
  const texts: Readonly<Record<string, (fields: Readonly<Record<string, unknown>>) => string>> = {
    'process.joined': ({ name }) => `Joined: ${name}.`,
    'process.left': ({ name, why }) => `${why === 'bye' ? 'Left' : 'Lost'}: ${name}.`,
    'log.disconnected': ({ why }) => `The connection to the broker is lost (${why}); it is tried again.`,
    'log.reconnected': () => 'The connection to the broker stands again.',
  }
  const listeners = Object.entries(texts).map(([name, text]) => {
    const listener = (event: unknown): void => {
      const fields = event as Readonly<Record<string, unknown>>
      if (fields.bus === own) note(text(fields))
    }
    subscribe(`swarmbus.${name}`, listener)
    return (): unknown => unsubscribe(`swarmbus.${name}`, listener)
  })
  return () => {
    for (const end of listeners) end()
  }
}
