import type { FarVoice } from '../kept.ts'
import type { Processes } from './processes.ts'

/** The group of an agent's inbox. */
const INBOX = 'inbox'

/** What whoever keeps messages says to other processes. `say` returns false when it could not be said. */
export function farVoice(
  id: string,
  others: Processes,
  say: (to: string | undefined, fields: object) => boolean,
): FarVoice {
  return {
    id,
    get others() {
      return others.size
    },
    say,
    keepers(message) {
      const groups = new Set<string>()
      for (const entry of others.match(message.topic.split('.')) ?? []) {
        const { agent, holds, group, session, sender } = entry
        if (session !== undefined && session !== message.session) continue
        if (sender !== undefined && sender !== message.from) continue
        if (agent !== undefined) groups.add(INBOX)
        else if (holds && group !== undefined) groups.add(group)
      }
      return groups
    },
  }
}
