import { Command } from 'commander'
import type { Act } from '../call.ts'
import { discardCommand } from './dead-letters-discard.ts'
import { listCommand } from './dead-letters-list.ts'
import { redriveCommand } from './dead-letters-redrive.ts'
import { showCommand } from './dead-letters-show.ts'

const EXAMPLES = `
Examples:
  $ swarmbus dead-letters list --file swarm.db --reason handler-error --since 1h
  $ swarmbus dead-letters show tasks/dead:3
  $ swarmbus dead-letters redrive --all --group coders --rate 10
  $ swarmbus dead-letters discard tasks/dead:3 --yes`

/** `swarmbus dead-letters`: the messages that groups could not handle. */
export function deadLettersCommand(act: Act, nowMs: () => number): Command {
  return new Command('dead-letters')
    .description('see, redrive and discard the messages that groups could not handle')
    .addCommand(listCommand(act, nowMs))
    .addCommand(showCommand(act))
    .addCommand(redriveCommand(act, nowMs))
    .addCommand(discardCommand(act, nowMs))
    .addHelpText('after', EXAMPLES)
}
