import type { KeptHost } from '../bus/kept.ts'
import { agentOf } from '../message/address.ts'
import type { Message } from '../message/message.ts'
import type { Channel } from './channel.ts'
import type { LogDeadLetters } from './dead-letters.ts'
import type { DeadRecord } from './record.ts'

/** Several messages to one agent have died. */
export interface DeadLetterAlert {
  /** For people: names agent and count. */
  readonly text: string
  /** The agent, or the group that failed. */
  readonly agent: string
  readonly count: number
}

/** Most agents whose deaths are counted; those that were quiet for longest are forgotten. */
const MOST_AGENTS = 10_000

/** What is told of deaths. */
export interface BurialSettings {
  readonly alertAfter?: number
  readonly onAlert?: (alert: DeadLetterAlert) => void
}

/** Tells of every message that dies, and holds the limit of dead letters of each channel. */
export class Burials {
  readonly #host: KeptHost
  readonly #letters: LogDeadLetters
  readonly #settings: BurialSettings
  /** Deaths by agent, for the alert. */
  readonly #died = new Map<string, number>()
  /** Channels whose dead letters are being counted; true when something died since. */
  readonly #tidying = new Map<string, boolean>()

  constructor(host: KeptHost, letters: LogDeadLetters, settings: BurialSettings) {
    this.#host = host
    this.#letters = letters
    this.#settings = settings
  }

  /** A message of the channel has died. */
  buried(channel: Channel, record: DeadRecord, message: Message): void {
    this.#host.announce('message.died', { channel: channel.name, group: record.group, message, record })
    this.#letters.tell(channel.name, record, message)
    this.#alert(record, message)
    if (channel.policy.deadLetters) this.#tidy(channel)
  }

  /** Holds the limit; one look at a time for each channel, and one more for what died meanwhile. */
  #tidy(channel: Channel): void {
    const { name, dead } = channel
    const isBusy = this.#tidying.has(name)
    this.#tidying.set(name, isBusy)
    if (isBusy) return
    this.#evictBeyond(channel)
      .catch((error: unknown) => this.#host.announce('log.failed', { stream: dead, error }))
      .finally(() => {
        const again = this.#tidying.get(name)
        this.#tidying.delete(name)
        if (again === true) this.#tidy(channel)
      })
  }

  async #evictBeyond({ name, policy }: Channel): Promise<void> {
    if ((await this.#letters.open(name)) <= policy.deadLetterLimit) return
    for (const letter of await this.#letters.evictBeyond(name, policy.deadLetterLimit)) {
      this.#host.announce('dead-letter.evicted', { letter })
    }
  }

  #alert(record: DeadRecord, message: Message): void {
    const { onAlert, alertAfter = 3 } = this.#settings
    if (onAlert === undefined) return
    const agent = message.to ?? agentOf(message.topic) ?? record.group
    const count = (this.#died.get(agent) ?? 0) + 1
    this.#died.delete(agent)
    this.#died.set(agent, count)
    if (this.#died.size > MOST_AGENTS) this.#died.delete(this.#died.keys().next().value as string)
    if (count % alertAfter !== 0) return
    const text = `${count} messages to "${agent}" have died; the last one: ${record.error}`
    this.#host.guard(() => onAlert({ text, agent, count }))
  }
}
