import type { Workload } from '../harness/types.ts'
import { ch2, ch3, ch4, ch5 } from './ch-redis.ts'
import { lh4 } from './lh4-burst.ts'
import { lh5 } from './lh5-events.ts'
import { lh7 } from './lh7-commands.ts'
import { lh9 } from './lh9-event-log.ts'
import { p1 } from './p1-publish.ts'
import { p2 } from './p2-request.ts'
import { p3 } from './p3-agents.ts'
import { p4 } from './p4-fan-out.ts'
import { p5 } from './p5-disk.ts'
import { p6 } from './p6-redis.ts'
import { p7 } from './p7-jetstream.ts'
import { p10 } from './p10-backlog.ts'
import { p11 } from './p11-import.ts'
import { vh4 } from './vh4-one-way.ts'
import { vh6 } from './vh6-echo.ts'
import { vh7 } from './vh7-concurrent.ts'
import { vh8 } from './vh8-broadcast.ts'
import { wh2 } from './wh2-hop.ts'
import { wh3 } from './wh3-absent.ts'
import { wh4 } from './wh4-subscribers.ts'
import { wh5 } from './wh5-observers.ts'
import { wh6 } from './wh6-request.ts'
import { wh7 } from './wh7-stream.ts'
import { ww1 } from './ww1-parse.ts'
import { zh2 } from './zh2-window.ts'
import { zh3 } from './zh3-drain.ts'
import { zh4 } from './zh4-turn.ts'
import { zh5 } from './zh5-request.ts'
import { zh6 } from './zh6-chain.ts'

/** In the order of the table: the bars, then the originals' own figures. */
export const WORKLOADS: readonly Workload[] = [
  ...[p1, p2, p3, p4, p5, p6, p7, p10, p11, ww1],
  ...[zh2, zh3, zh4, zh5, zh6],
  ...[wh2, wh3, wh4, wh5, wh6, wh7],
  ...[ch2, ch3, ch4, ch5],
  ...[lh4, lh5, lh7, lh9],
  ...[vh4, vh6, vh7, vh8],
]

export function workloadOf(id: string): Workload | undefined {
  return WORKLOADS.find((one) => one.id === id)
}
