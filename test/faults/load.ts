import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bus } from '../../src/index.ts'
import { codeOf } from './support.ts'

/** A publisher under load: each session waits for the answer to one message before it sends the next, and sends it again with the same id if it got none. */
export interface Load {
  /** `session:number`, in the order of the answers. */
  readonly acked: readonly string[]
  /** How often publishes ended with which code. */
  readonly codes: Readonly<Record<string, number>>
  /** Ends it; resolves when everything that was begun is acknowledged. */
  stop(): Promise<void>
}

export function publishTo(bus: Bus, topic: string, sessions: number): Load {
  const acked: string[] = []
  const codes: Record<string, number> = {}
  let stopped = false
  async function publish(session: string): Promise<void> {
    for (let number = 0; !stopped; number++) {
      const id = randomUUID()
      for (let code = ''; code !== 'ok'; ) {
        code = await codeOf(bus.publish(topic, number, { session, id }))
        codes[code] = (codes[code] ?? 0) + 1
        if (code !== 'ok') await sleep(20)
      }
      acked.push(`${session}:${number}`)
      await sleep(2)
    }
  }
  const running = Array.from({ length: sessions }, (_, at) => publish(`s${at}`))
  return {
    acked,
    codes,
    async stop() {
      stopped = true
      await Promise.all(running)
    },
  }
}

/** What handlers noted, `session:number` each, against what was acknowledged. */
export interface Tally {
  readonly lost: readonly string[]
  readonly doubled: readonly string[]
  /** First handlings that came before that of an earlier message of their session. */
  readonly overtaking: readonly string[]
}

export function tally(acked: readonly string[], handled: readonly string[]): Tally {
  const counts = new Map<string, number>()
  const reached = new Map<string, number>()
  const overtaking: string[] = []
  for (const one of handled) {
    counts.set(one, (counts.get(one) ?? 0) + 1)
    if (counts.get(one) !== 1) continue
    const [session = '', text] = one.split(':')
    const before = reached.get(session) ?? -1
    if (Number(text) !== before + 1) overtaking.push(`${one} after ${before}`)
    reached.set(session, Math.max(before, Number(text)))
  }
  return {
    lost: acked.filter((one) => !counts.has(one)),
    doubled: [...counts].filter(([, count]) => count > 1).map(([one]) => one),
    overtaking,
  }
}
