import { agentOf, INBOX_ROOT } from '../message/address.ts'
import type { TopicContract } from '../message/contract.ts'
import type { Message } from '../message/message.ts'
import { isWildcard, parseTopic } from '../message/topic.ts'
import type { Accounts, Channel } from './account.ts'
import type { FarEntry } from './far/entry.ts'
import type { KeptChannel } from './kept.ts'
import type { Queue } from './queue.ts'
import { TopicTrie } from './topic-trie.ts'

/** Most topics whose routes are remembered at once is twice this. */
const GENERATION = 32_768

/** A queue under a pattern, with the conditions under which it gets a message. */
export interface Entry {
  readonly queue: Queue
  readonly pattern: readonly string[]
  /** Order of subscribing: recipients are served in it. */
  readonly order: number
  /** Only messages of this session. */
  readonly session: string | undefined
  /** Only messages from this agent. */
  readonly sender: string | undefined
  /** Not its own messages: the agent that owns the subscription. */
  readonly notFrom: string | undefined
  readonly filter: ((message: Message) => boolean) | undefined
  /** 0 to 100: lower ones are done before higher ones begin. */
  readonly rank: number
  readonly group: string | undefined
  /** Looks on: does not count as a responder. */
  readonly observer: boolean
}

/** Where messages of one topic go. Never changed: subscribing makes a new one, so a publish under way is not disturbed. */
export interface Route {
  readonly topic: string
  readonly channel: Channel
  readonly contract: TopicContract | undefined
  /** Present when messages of the topic are kept. */
  readonly kept: KeptChannel | undefined
  /** Who wants it in other processes; undefined for nobody. */
  readonly far: readonly FarEntry[] | undefined
  /** The agent whose inbox the topic is. */
  readonly agent: string | undefined
  /** All recipients, when no message needs a closer look; else undefined. */
  readonly plain: readonly Queue[] | undefined
  /** The only recipient, when there is just one and the topic is an ordinary one without a schema. */
  readonly only: Queue | undefined
  /** Recipients without conditions on the session. */
  readonly open: readonly Entry[]
  readonly bySession: ReadonlyMap<string, readonly Entry[]> | undefined
  /** True when recipients have different ranks. */
  readonly ranked: boolean
  /** Entries that do not only look on. */
  readonly responders: number
}

const inOrder = (a: Entry, b: Entry): number => a.order - b.order

/** Finds the recipients of a topic: a trie of patterns, and a bounded memory of topics already looked up. */
export class Router {
  readonly #trie = new TopicTrie<Entry>()
  readonly #accounts: Accounts
  readonly #contracts = new Map<string, TopicContract>()
  // Two generations: the young one becomes the old one when it is full. What is used stays, what is not goes, in constant time.
  #young = new Map<string, Route>()
  #old = new Map<string, Route>()
  #turns = 0
  /** Rises whenever a route may have changed. */
  version = 0
  /** Who wants a topic in other processes, and who is told of entries that come and go; set by `far/far.ts`. */
  far: ((tokens: readonly string[]) => readonly FarEntry[] | undefined) | undefined
  onEntry: ((entry: Entry, added: boolean) => void) | undefined

  readonly #keptChannel: (topic: string) => KeptChannel | undefined
  readonly #onFilterError: (entry: Entry, message: Message, error: unknown) => void

  constructor(
    accounts: Accounts,
    contracts: readonly TopicContract[],
    onFilterError: (entry: Entry, message: Message, error: unknown) => void,
    keptChannel: (topic: string) => KeptChannel | undefined,
  ) {
    this.#accounts = accounts
    this.#keptChannel = keptChannel
    this.#onFilterError = onFilterError
    for (const contract of contracts) this.#contracts.set(contract.topic, contract)
  }

  /** How many entries are in, under how many branches, and how many topics are remembered. */
  get sizes(): { readonly entries: number; readonly branches: number; readonly topics: number } {
    return { entries: this.#trie.size, branches: this.#trie.branches, topics: this.#young.size + this.#old.size }
  }

  add(entry: Entry): void {
    this.#trie.add(entry.pattern, entry)
    this.touched(entry.pattern)
    this.onEntry?.(entry, true)
  }

  remove(entry: Entry): boolean {
    const was = this.#trie.remove(entry.pattern, entry)
    this.touched(entry.pattern)
    if (was) this.onEntry?.(entry, false)
    return was
  }

  /** The route of a topic. Throws INVALID_TOPIC. */
  route(topic: string): Route {
    return this.#young.get(topic) ?? this.#find(topic)
  }

  /** Who hears of a kept message from its publisher: everybody that does not read the log. */
  listeners(route: Route, message: Message): readonly Entry[] {
    return this.select(route, message).filter((entry) => !entry.queue.backlog.holds)
  }

  /** The recipients of one message, where its route has no plain list. */
  select(route: Route, message: Message): readonly Entry[] {
    return this.oneOfEachGroup(this.fitting(route, message))
  }

  /** Every entry of this process that the message fits, of groups too. */
  fitting(route: Route, message: Message): readonly Entry[] {
    const chosen: Entry[] = []
    for (const entry of route.open) if (this.#fits(entry, message)) chosen.push(entry)
    const bound = message.session === undefined ? undefined : route.bySession?.get(message.session)
    if (bound !== undefined) for (const entry of bound) if (this.#fits(entry, message)) chosen.push(entry)
    return chosen
  }

  /** A group that hears a topic under several patterns gets each message once, under each pattern in turn. */
  oneOfEachGroup(chosen: readonly Entry[]): readonly Entry[] {
    const groups = new Map<string, Entry[]>()
    for (const entry of chosen) {
      if (entry.group === undefined) continue
      const same = groups.get(entry.group)
      if (same === undefined) groups.set(entry.group, [entry])
      else same.push(entry)
    }
    if (groups.size === 0) return chosen
    const turn = this.#turns++
    return chosen.filter((entry) => {
      if (entry.group === undefined) return true
      const same = groups.get(entry.group) as Entry[]
      return same[turn % same.length] === entry
    })
  }

  #find(topic: string): Route {
    const known = this.#old.get(topic)
    const route = known ?? this.#make(topic)
    if (this.#young.size >= GENERATION) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(topic, route)
    return route
  }

  #make(topic: string): Route {
    const tokens = parseTopic(topic)
    const entries = this.#trie.match(tokens).sort(inOrder)
    const open = entries.filter((entry) => entry.session === undefined)
    const bound = Map.groupBy(
      entries.filter((entry) => entry.session !== undefined),
      (entry) => entry.session as string,
    )
    const ranked = entries.some((entry) => entry.rank !== (entries[0] as Entry).rank)
    const groups = new Set(entries.map((entry) => entry.group).filter((group) => group !== undefined))
    const grouped = entries.filter((entry) => entry.group !== undefined).length
    const plain =
      !ranked &&
      grouped === groups.size &&
      entries.every(
        (entry) => entry.session === undefined && entry.sender === undefined && entry.notFrom === undefined,
      ) &&
      entries.every((entry) => entry.filter === undefined)
    const contract = this.#contracts.get(topic)
    const kept = this.#keptChannel(topic)
    const far = this.far?.(tokens)
    const simple =
      plain &&
      far === undefined &&
      entries.length === 1 &&
      contract === undefined &&
      kept === undefined &&
      tokens[0] !== INBOX_ROOT
    return {
      topic,
      channel: this.#accounts.channel(tokens[0] as string),
      contract,
      kept,
      far,
      agent: agentOf(topic),
      plain: plain ? entries.map((entry) => entry.queue) : undefined,
      only: simple ? (entries[0] as Entry).queue : undefined,
      open,
      bySession: bound.size === 0 ? undefined : bound,
      ranked,
      responders: entries.filter((entry) => !entry.observer).length,
    }
  }

  #fits(entry: Entry, message: Message): boolean {
    if (entry.sender !== undefined && entry.sender !== message.from) return false
    if (entry.notFrom !== undefined && entry.notFrom === message.from) return false
    if (entry.filter === undefined) return true
    try {
      return entry.filter(message)
    } catch (error) {
      this.#onFilterError(entry, message, error)
      return false
    }
  }

  /** Forgets the routes of a pattern: something about them has changed. */
  touched(pattern: readonly string[]): void {
    this.version++
    if (isWildcard(pattern)) {
      this.#young.clear()
      this.#old.clear()
      return
    }
    const topic = pattern.join('.')
    this.#young.delete(topic)
    this.#old.delete(topic)
  }
}
