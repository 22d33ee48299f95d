import type { Envelope, Message } from '../../message/message.ts'
import type { Agents } from '../agents.ts'
import type { Entry, Route, Router } from '../router.ts'
import { chooseProcess } from './choose.ts'
import type { FarEntry } from './entry.ts'
import type { Processes } from './processes.ts'
import type { Load, Plan } from './side.ts'

/** What deciding about a message needs. */
export interface PlanHost {
  readonly id: string
  readonly router: Router
  readonly agents: Agents
  readonly others: Processes
}

/**
 * Who gets a message: everybody who listens, here and elsewhere; of each group one process, the same for all messages of a session; of
 * agents of one name the one of this process, else the one that registered last.
 */
export function planFor(host: PlanHost, route: Route, message: Envelope, kept: boolean): Plan {
  const { id, router } = host
  const targets = new Set<string>()
  const candidates = new Map<string, Set<string>>()
  const silent = new Set<string>()
  let responder = false
  for (const entry of route.far ?? []) {
    if (entry.agent !== undefined || (kept && entry.holds) || !wants(entry, message)) continue
    if (entry.group === undefined) {
      targets.add(entry.id)
      responder ||= !entry.observer
      continue
    }
    const known = candidates.get(entry.group)
    if (known === undefined) candidates.set(entry.group, new Set([entry.id]))
    else known.add(entry.id)
    if (entry.observer) silent.add(entry.group)
  }
  const names = new Map<string, string>()
  const inbox = kept ? undefined : farInbox(host, route)
  let local = router.fitting(route, message)
  if (inbox !== undefined) {
    names.set(inbox.agent as string, inbox.id)
    targets.add(inbox.id)
    responder = true
    const own = host.agents.find(inbox.agent as string)?.entry
    local = local.filter((entry) => entry !== own)
  }
  if (kept) local = local.filter((entry) => !entry.queue.backlog.holds)
  for (const { group } of local) if (group !== undefined) candidates.get(group)?.add(id)
  const groups = new Map<string, string>()
  for (const [group, processes] of candidates) {
    const chosen = chooseProcess(`${group} ${message.session ?? message.id}`, processes) as string
    groups.set(group, chosen)
    if (chosen === id) continue
    targets.add(chosen)
    responder ||= !silent.has(group)
  }
  const here = local.filter(({ group }) => group === undefined || (groups.get(group) ?? id) === id)
  const load: Load = { targets, groups, names, everyone: undefined, kept }
  return { entries: router.oneOfEachGroup(here), load, responder }
}

/** The inbox elsewhere that the topic means: unless the agent is registered here. */
function farInbox({ agents, others }: PlanHost, { agent }: Route): FarEntry | undefined {
  if (agent === undefined || agents.find(agent)?.registeredAt !== undefined) return undefined
  return others.inboxOf(agent)
}

function wants({ session, sender, notFrom }: FarEntry, message: Message): boolean {
  if (session !== undefined && session !== message.session) return false
  if (sender !== undefined && sender !== message.from) return false
  return notFrom === undefined || notFrom !== message.from
}

/** The load with agents added: those of the names that live elsewhere, or all agents but some. */
export function widen(
  { agents, others }: PlanHost,
  load: Load | undefined,
  wanted: readonly string[],
  everyone: ReadonlySet<string> | undefined,
): Load {
  const targets = new Set(load?.targets)
  const names = new Map(load?.names)
  for (const name of wanted) {
    const inbox = agents.find(name)?.registeredAt === undefined ? others.inboxOf(name) : undefined
    if (inbox === undefined) continue
    names.set(name, inbox.id)
    targets.add(inbox.id)
  }
  if (everyone !== undefined) {
    for (const known of others.all()) {
      if ([...known.agents.keys()].some((name) => !everyone.has(name))) targets.add(known.id)
    }
  }
  return { targets, names, groups: load?.groups ?? new Map(), everyone, kept: load?.kept ?? false }
}

/** The recipients here of a message from another process, which has chosen for groups and agents. */
export function recipients(
  { id, router, agents }: PlanHost,
  route: Route,
  message: Envelope,
  { groups, kept }: Pick<Load, 'groups' | 'kept'>,
): readonly Entry[] {
  const inbox = route.agent === undefined ? undefined : agents.find(route.agent)?.entry
  const fitting = router.fitting(route, message).filter((entry) => {
    if (entry === inbox || (kept && entry.queue.backlog.holds)) return false
    return entry.group === undefined || groups.get(entry.group) === id
  })
  return router.oneOfEachGroup(fitting)
}
