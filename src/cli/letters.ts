import type { Command } from 'commander'
import type { DeadLetter, DeadLetterFilter, DeathReason } from '../bus/kept-verbs.ts'
import { toJson } from '../message/codec.ts'
import { usage } from './call.ts'
import type { CliError } from './faults.ts'
import { choice, parseText, patternText, timeAt, wholeFrom } from './parse.ts'

/** The filters that the commands about dead letters share. */
export interface FilterOptions extends DeadLetterFilter {
  readonly limit?: number
}

const REASONS: Readonly<Record<DeathReason, true>> = {
  'handler-error': true,
  'handler-timeout': true,
  nacked: true,
  expired: true,
  cancelled: true,
  rejected: true,
  'queue-full': true,
  'agent-unresponsive': true,
}

/** Gives a command the filters of dead letters. */
export function withFilters(command: Command, nowMs: () => number, limit: string): Command {
  return command
    .option('--channel <name>', 'only of this channel', parseText)
    .option('--group <name>', 'only of this group', parseText)
    .addOption(choice('--reason <reason>', 'only those that died of it', Object.keys(REASONS)))
    .option('--topic <pattern>', 'only topics that fit, as tasks.* or tasks.>', patternText)
    .option('--agent <name>', 'only messages for this agent', parseText)
    .option('--session <id>', 'only of this session', parseText)
    .option('--since <time>', 'died at or after: a time, or how long ago (1h)', timeAt(nowMs))
    .option('--before <time>', 'died before: a time, or how long ago', timeAt(nowMs))
    .option('--limit <n>', limit, wholeFrom(1))
}

/** The filters that were given, without the limit. */
export function filterOf(options: FilterOptions): DeadLetterFilter {
  const { channel, group, reason, topic, agent, session, since, before } = options
  return {
    ...(channel === undefined ? {} : { channel }),
    ...(group === undefined ? {} : { group }),
    ...(reason === undefined ? {} : { reason }),
    ...(topic === undefined ? {} : { topic }),
    ...(agent === undefined ? {} : { agent }),
    ...(session === undefined ? {} : { session }),
    ...(since === undefined ? {} : { since }),
    ...(before === undefined ? {} : { before }),
  }
}

/** Throws unless a command names either ids or all of what its filters choose. */
export function chosenWell(verb: string, ids: readonly string[], all: boolean, options: FilterOptions): void {
  const filtered = Object.keys(filterOf(options)).length > 0 || options.limit !== undefined
  const how = `name ids (\`swarmbus dead-letters ${verb} tasks/dead:3\`), or give --all with filters`
  const fault = (text: string): CliError => usage(text, how)
  if (ids.length > 0 && all) throw fault('ids and --all do not go together')
  if (ids.length > 0 && filtered) throw fault('filters choose among all, not among ids')
  if (ids.length === 0 && !all) throw fault(filtered ? 'filters need --all' : `nothing to ${verb} is named`)
}

/** A dead letter as --json prints it. */
export function letterJson(letter: DeadLetter): object {
  const { message, attempts, firstAttemptAt, diedAt, ...fields } = letter
  const iso = (wallMs: number): string => new Date(wallMs).toISOString()
  return {
    ...fields,
    diedAt: iso(diedAt),
    ...(firstAttemptAt === undefined ? {} : { firstAttemptAt: iso(firstAttemptAt) }),
    attempts: attempts.map((one) => ({ ...one, time: iso(one.time) })),
    message: toJson(message),
  }
}

/** The name of a group as an application gave it: the log keeps it with the patterns it reads. */
export function groupOf(group: string): { readonly name: string; readonly patterns: string } {
  const at = group.indexOf(':')
  return at < 0 ? { name: group, patterns: '' } : { name: group.slice(0, at), patterns: group.slice(at + 1) }
}
