import { Command } from 'commander'
import type { Act, Call } from '../call.ts'
import { EXIT } from '../faults.ts'
import { bytesText } from '../text.ts'

/** `swarmbus channels`: the kept channels with their balance. */
export function channelsCommand(act: Act): Command {
  return new Command('channels')
    .description('list the channels with their messages and their balance')
    .addHelpText('after', '\nCounts but MESSAGES are of pairs of message and group: each group has a message once.')
    .action(act(channels))
}

async function channels(call: Call): Promise<number> {
  const { withKept } = await import('../open.ts')
  const { out } = call
  return withKept(call, async ({ bus }) => {
    const found = await bus.channels()
    if (out.json) await out.document(found)
    else if (found.length === 0) await out.text('no channels: nothing was published yet')
    else {
      await out.table(
        [
          { title: 'CHANNEL', look: 'cyan' },
          { title: 'MESSAGES', side: 'right' },
          { title: 'SIZE', side: 'right' },
          { title: 'ACKED', side: 'right' },
          { title: 'WAITING', side: 'right' },
          { title: 'HELD', side: 'right' },
          { title: 'DEAD', side: 'right' },
          { title: 'GROUPS', gives: true },
        ],
        found.map(({ name, messages, bytes, deadLetters, groups, ledger }) => [
          name,
          String(messages),
          bytesText(bytes),
          String(ledger.acked),
          String(ledger.pending + ledger.leased + ledger.delayed),
          String(ledger.held),
          String(deadLetters),
          groups.length === 0 ? '-' : groups.join(', '),
        ]),
      )
    }
    return EXIT.ok
  })
}
