import type { Behaviour, KindDefinition } from '../kind.ts'
import { defineKind } from './define.ts'
import { settingsOf } from './settings.ts'
import { toolRequestOf } from './text.ts'

/** `analytics`: counts what it is sent by event and sender, and keeps the last of each; asked, it tells. */
export const ANALYTICS: KindDefinition = defineKind({
  kind: 'analytics',
  role: 'other',
  summary: 'counts what it is sent, and tells when asked',
  keys: { most: { type: 'whole', min: 1, default: 1_000, summary: 'how many pairs of event and sender it keeps' } },
  make(spec): Behaviour {
    const most = settingsOf(spec, ANALYTICS).number('most') as number
    const seen = new Map<string, { event: string; from: string | undefined; count: number; last: unknown }>()
    return {
      tools: () => [{ name: 'report', summary: 'what was counted', inputs: { type: 'object', properties: {} } }],
      handle(message) {
        const { event } = message.headers
        if (toolRequestOf(message.data) !== undefined || event === undefined) return { counted: [...seen.values()] }
        const key = JSON.stringify([event, message.from])
        const count = (seen.get(key)?.count ?? 0) + 1
        seen.delete(key)
        seen.set(key, { event, from: message.from, count, last: message.data })
        if (seen.size > most) seen.delete(seen.keys().next().value as string)
        return undefined
      },
    }
  },
})
