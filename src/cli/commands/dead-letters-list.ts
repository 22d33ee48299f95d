import { Command } from 'commander'
import type { Act, Call } from '../call.ts'
import { EXIT } from '../faults.ts'
import { type FilterOptions, filterOf, groupOf, letterJson, withFilters } from '../letters.ts'
import { counted, localTime } from '../text.ts'

interface Options extends FilterOptions {
  readonly oldest?: boolean
}

/** Rows of a list without --limit. */
const LIMIT = 100

/** `swarmbus dead-letters list`: the newest first. */
export function listCommand(act: Act, nowMs: () => number): Command {
  return withFilters(new Command('list'), nowMs, `most rows (default: ${LIMIT})`)
    .description('list dead letters, the newest first')
    .option('--oldest', 'the oldest first')
    .action(act(list))
}

async function list(call: Call, options: Options): Promise<number> {
  const { withKept } = await import('../open.ts')
  const { out } = call
  const limit = options.limit ?? LIMIT
  return withKept(call, async ({ bus }) => {
    const order = options.oldest ? 'oldest' : 'newest'
    // One more than is shown tells whether there are more.
    const found = await bus.deadLetters.list({ ...filterOf(options), limit: limit + 1, order })
    const shown = found.slice(0, limit)
    if (out.json) {
      for (const letter of shown) await out.entry(letterJson(letter), () => '')
      return EXIT.ok
    }
    if (shown.length === 0) {
      await out.text('no dead letters')
      return EXIT.ok
    }
    await out.table(
      [
        { title: 'ID' },
        { title: 'DIED', look: 'dim' },
        { title: 'TOPIC', look: 'cyan' },
        { title: 'GROUP' },
        { title: 'REASON' },
        { title: 'TRIES', side: 'right' },
        { title: 'ERROR', gives: true },
      ],
      shown.map(({ id, diedAt, message, group, reason, attempts, error }) => [
        id,
        localTime(diedAt),
        message.topic,
        groupOf(group).name,
        reason,
        String(attempts.length),
        error,
      ]),
    )
    const more = found.length > limit ? `; there are more, --limit shows them` : ''
    await out.note(`${counted(shown.length, 'dead letter')}${more}`)
    return EXIT.ok
  })
}
