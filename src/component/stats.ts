import type { Bus } from '../bus/bus.ts'
import type { BusHealth } from '../bus/health.ts'
import type { HistogramFigures } from '../kit/histogram.ts'
import type { EventTable, Watcher } from './events.ts'
import type { ComponentState, Member, MemberCounts } from './member.ts'
import type { Costs, SessionBook } from './performance.ts'
import type { Role } from './role.ts'
import type { Route, RoutingTable } from './routes.ts'

/** Figures of one component. */
export interface ComponentStats extends Readonly<MemberCounts> {
  readonly name: string
  readonly kind: string
  readonly role: Role
  readonly state: ComponentState
  readonly targets: readonly string[]
  readonly queued: number
  readonly running: number
  /** Wall-clock milliseconds of the last message that came. */
  readonly lastAt: number | undefined
  readonly costs: Costs
  readonly handling: HistogramFigures
}

/** Figures of the router. */
export interface RouterStats {
  /** Messages that a target took. */
  readonly messagesRouted: number
  readonly routingFailures: number
  readonly componentsRegistered: number
  /** Pairs of a component and a target. */
  readonly activeRoutes: number
  /** Components with at least one target. */
  readonly tableSize: number
  readonly averageTargets: number
  readonly table: readonly Route[]
}

/** Figures of events. */
export interface EventStats {
  readonly eventsEmitted: number
  readonly componentsRegistered: number
  /** Emitted events that went to targets. */
  readonly routesProcessed: number
  readonly hooksExecuted: number
  readonly hookFailures: number
  readonly pipeFailures: number
  readonly listenerFailures: number
  readonly routingTableSize: number
  readonly totalRoutes: number
  readonly hookSubscriptions: number
  readonly pipeSubscriptions: number
  readonly eventSubscriptions: number
}

/** Where the output of one component goes, and whether all of it is there. */
export interface RoutingInfo {
  readonly name: string
  readonly targets: readonly string[]
  readonly registered: boolean
  readonly targetCount: number
}

/** The figures of a swarm. */
export interface SwarmStats {
  readonly state: string
  /** Components that are ready. */
  readonly active: number
  readonly components: Readonly<Record<string, ComponentStats>>
  readonly router: RouterStats
  readonly events: EventStats
  readonly routing: readonly RoutingInfo[]
  readonly sessions: Readonly<Record<string, Costs>>
  readonly faults: number
  readonly health: BusHealth
}

/** What the figures are taken from. */
export interface StatsHost {
  readonly state: string
  readonly bus: Bus
  readonly members: ReadonlyMap<string, Member>
  readonly shared: EventTable
  readonly table: RoutingTable
  readonly sessions: SessionBook
  readonly faultCount: number
}

/** The figures of a swarm. */
export function statsOf({ state, bus, members, shared, table, sessions, faultCount }: StatsHost): SwarmStats {
  const all = [...members.values()]
  const sum = (field: keyof MemberCounts): number => all.reduce((total, one) => total + one.counts[field], 0)
  const routes = all.flatMap((one) => table.get(one.name) ?? [])
  const pairs = routes.reduce((total, one) => total + one.to.length, 0)
  const tableSize = routes.filter((one) => one.to.length > 0).length
  const tables = [shared, ...all.map((one) => one.table)]
  const watchers = (...types: readonly Watcher['type'][]): number =>
    tables.reduce((total, one) => total + one.count(...types), 0)
  const componentsRegistered = all.filter((one) => one.agent?.registered === true).length
  return {
    state,
    active: all.filter((one) => one.state === 'ready' || one.state === 'active').length,
    components: Object.fromEntries(all.map((one) => [one.name, componentStats(one, bus, table)])),
    router: {
      messagesRouted: sum('sent'),
      routingFailures: sum('routeFailures'),
      componentsRegistered,
      activeRoutes: pairs,
      tableSize,
      averageTargets: tableSize === 0 ? 0 : pairs / tableSize,
      table: routes,
    },
    events: {
      eventsEmitted: sum('emitted'),
      componentsRegistered,
      routesProcessed: sum('routed'),
      hooksExecuted: sum('hooksRun'),
      hookFailures: sum('hookFailures'),
      pipeFailures: sum('pipeFailures'),
      listenerFailures: sum('listenerFailures'),
      routingTableSize: tableSize,
      totalRoutes: pairs,
      hookSubscriptions: watchers('hook', 'after'),
      pipeSubscriptions: watchers('pipe'),
      eventSubscriptions: watchers('listener'),
    },
    routing: all.map(({ name, agent }) => {
      const targets = table.of(name)
      return { name, targets, registered: agent?.registered === true, targetCount: targets.length }
    }),
    sessions: sessions.all(),
    faults: faultCount,
    health: bus.health(),
  }
}

function componentStats(
  { name, kind, role, state, counts, book, lastAt }: Member,
  bus: Bus,
  table: RoutingTable,
): ComponentStats {
  const { queued = 0, running = 0 } = bus.agent(name) ?? {}
  const targets = table.of(name)
  const handling = book.times()
  return { name, kind, role, state, targets, queued, running, lastAt, costs: book.costs(), handling, ...counts }
}
