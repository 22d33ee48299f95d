import type { ChannelInfo, DeadLetter } from '../../src/index.ts'
import { balance } from '../../src/reliability/index.ts'
import type { Event } from './events.ts'
import { ATTEMPTS, isDoomed, planned, wants } from './plan.ts'

// Compares what children said with what lies in the file at the end. A finding begins with the id of the broken promise.

/** What lies in the file when everything was handled. */
export interface Final {
  /** Data of the kept messages of the channel, in the order of a replay. */
  readonly stored: readonly unknown[]
  readonly dead: readonly DeadLetter[]
  readonly channels: readonly ChannelInfo[]
}

export interface Rules {
  readonly groups: readonly string[]
  /** Everything was published in the order of its number, so sessions are in that order. */
  readonly inOrder?: boolean
}

/** What happened to one message in one group. */
interface Story {
  begins: number
  starts: number
  effects: number
  /** True from the moment at which the middleware has said that it remembered. */
  remembered: boolean
  /** True from the moment at which the log has said that the group is done with it. */
  settled: string | undefined
}

/** Findings, each `ID: what`; none when every promise was kept. */
export function findings(history: readonly Event[], final: Final, rules: Rules): readonly string[] {
  const found: string[] = []
  const tried = new Set<number>()
  const acked = new Set<number>()
  const stories = new Map<string, Story>()
  const firsts: { readonly group: string; readonly n: number }[] = []
  const storyOf = (group: string, n: number): Story => {
    let story = stories.get(`${group} ${n}`)
    if (story === undefined) {
      story = { begins: 0, starts: 0, effects: 0, remembered: false, settled: undefined }
      stories.set(`${group} ${n}`, story)
    }
    return story
  }
  for (const event of history) {
    switch (event.type) {
      case 'try':
        tried.add(event.n)
        break
      case 'ack':
        acked.add(event.n)
        break
      case 'begin':
        storyOf(event.group, event.n).begins++
        break
      case 'start': {
        const { n, group } = event
        const story = storyOf(group, n)
        if (!tried.has(n)) found.push(`I2: ${group} got ${n}, which nobody published`)
        if (!wants(group, n)) found.push(`I2: ${group} got ${n}, which is not its own`)
        if (story.settled !== undefined) found.push(`I4: ${group} got ${n} again after it was ${story.settled}`)
        if (story.starts++ === 0) firsts.push({ group, n })
        break
      }
      case 'effect': {
        const story = storyOf(event.group, event.n)
        if (story.remembered) found.push(`I5: ${event.group} repeated the effect of ${event.n}, which was remembered`)
        if (story.settled !== undefined)
          found.push(`I4: ${event.group} worked on ${event.n} after it was ${story.settled}`)
        story.effects++
        break
      }
      case 'remembered':
        storyOf(event.group, event.n).remembered = true
        break
      case 'settled': {
        if (!event.ok) break
        const story = storyOf(event.group, event.n)
        const { settled, effects } = story
        if (settled !== undefined) found.push(`I10: ${event.group} ended ${event.n} twice: ${settled}, ${event.as}`)
        if (event.as === 'acked' && effects === 0)
          found.push(`I4: ${event.group} acked ${event.n} before it was handled`)
        story.settled = event.as
        break
      }
      default:
        break
    }
  }
  const stored = new Map<number, number>()
  for (const data of final.stored) {
    const { n } = data as { readonly n: number }
    stored.set(n, (stored.get(n) ?? 0) + 1)
    if (!tried.has(n)) found.push(`I2: ${n} is kept, and nobody published it`)
    if (JSON.stringify(data) !== JSON.stringify(planned(n).data)) found.push(`I2: ${n} is kept with other data`)
  }
  for (const [n, count] of stored) if (count > 1) found.push(`I5: ${n} is kept ${count} times`)
  for (const n of acked) if (!stored.has(n)) found.push(`I1: ${n} was acknowledged and is not there`)
  found.push(...ends(stories, stored, final, rules))
  if (rules.inOrder === true) found.push(...disorders(firsts))
  return found
}

/** Each kept message is handled or dead in each group that wants it, and the ledger says the same. */
function ends(
  stories: ReadonlyMap<string, Story>,
  stored: ReadonlyMap<number, number>,
  { dead, channels }: Final,
  { groups }: Rules,
): readonly string[] {
  const found: string[] = []
  const deaths = new Map<string, number>()
  for (const { group, message } of dead) {
    const key = `${group.split(':')[0]} ${(message.data as { readonly n: number }).n}`
    deaths.set(key, (deaths.get(key) ?? 0) + 1)
  }
  let pairs = 0
  for (const n of stored.keys()) {
    for (const group of groups) {
      if (!wants(group, n)) continue
      pairs++
      const key = `${group} ${n}`
      const died = deaths.get(key) ?? 0
      const { begins = 0, effects = 0, settled } = stories.get(key) ?? {}
      if (died > 1) found.push(`I10: ${key} died ${died} times`)
      if (died === 1 && settled === 'acked') found.push(`I10: ${key} is dead and acked`)
      if (died === 0 && effects === 0) found.push(`I1: ${key} is neither handled nor dead`)
      if (died === 0 && isDoomed(group, n)) found.push(`I17: ${key} fails always and is not dead`)
      if (died === 1 && begins < ATTEMPTS) found.push(`I17: ${key} died after ${begins} attempts`)
    }
  }
  for (const { name, ledger, deadLetters } of channels) {
    if (balance(ledger) !== 0)
      found.push(`I10: the ledger of ${name} lacks ${balance(ledger)}: ${JSON.stringify(ledger)}`)
    if (name !== 'work') continue
    const { published, pending, leased, delayed, held } = ledger
    if (groups.length > 0 && pending + leased + delayed + held > 0)
      found.push(`I10: not all ended: ${JSON.stringify(ledger)}`)
    if (groups.length > 0 && published !== pairs) found.push(`I10: ${published} in the ledger, ${pairs} expected`)
    if (deadLetters !== dead.length || ledger.dead !== dead.length) {
      found.push(`I10: ${dead.length} dead letters, ${deadLetters} counted, ${ledger.dead} in the ledger`)
    }
  }
  return found
}

/** First handlings of a session, in each group, in the order of publishing. */
function disorders(firsts: readonly { readonly group: string; readonly n: number }[]): readonly string[] {
  const found: string[] = []
  const last = new Map<string, number>()
  for (const { group, n } of firsts) {
    const { session } = planned(n)
    if (session === undefined) continue
    const key = `${group} ${session}`
    const before = last.get(key) ?? -1
    if (n < before) found.push(`I6: ${group} got ${n} of ${session} after ${before}`)
    last.set(key, Math.max(n, before))
  }
  return found
}

/** `ok`, or the broken promises. */
export function verdictOf(found: readonly string[]): string {
  if (found.length === 0) return 'ok'
  return `INVALID(${[...new Set(found.map((one) => one.slice(0, one.indexOf(':'))))].sort().join(',')})`
}
