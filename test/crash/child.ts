import { writeSync } from 'node:fs'
import { type Bus, isBusError, openBus } from '../../src/index.ts'
import { sqliteLog } from '../../src/log/index.ts'
import { type IdempotencyStore, idempotent, logIdempotency } from '../../src/reliability/index.ts'
import type { Event } from './events.ts'
import { faultyLog, type Plant, type Point } from './faulty-log.ts'
import { failsOnce, isDoomed, PATTERNS, planned, RETRY } from './plan.ts'

// A process that publishes and handles, and says what it does. It may be killed anywhere, by itself at a point that was named.

/** What a child is told, as JSON. */
export interface Orders {
  readonly file: string
  /** Messages to publish, in this order. */
  readonly publish: readonly number[]
  /** Publishes under way at once. Default 1. */
  readonly pipeline?: number
  readonly groups: readonly string[]
  readonly killAt?: { readonly point: Point; readonly time: number }
  /** A failpoint of the store: `name:n`. */
  readonly failAt?: string
  readonly plant?: Plant
  /** Milliseconds that a handler takes. Default 0. */
  readonly handleMs?: number
  /** Default 30 000. */
  readonly ackWaitMs?: number
  /** Messages whose handler ends the process, hard. */
  readonly poison?: readonly number[]
  /** SIGTERM drains. */
  readonly drains?: boolean
  readonly drainMs?: number
  /** Publish again and again what was refused with STORE_FULL. */
  readonly insist?: boolean
}

const orders = JSON.parse(process.argv[2] as string) as Orders

function say(event: Event): void {
  // A pipe is written at once: what was said survives the kill.
  let rest = Buffer.from(`${JSON.stringify(event)}\n`)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest))
    } catch (error) {
      // The parent is behind.
      if ((error as { code?: unknown }).code !== 'EAGAIN') throw error
    }
  }
}

let times = 0
function at(point: Point): void {
  if (orders.killAt?.point !== point || ++times !== orders.killAt.time) return
  process.kill(process.pid, 'SIGKILL')
  for (;;);
}

const groupOf = (name: string): string => name.split(':')[0] as string
const numberOf = (data: unknown): number => (data as { n: number }).n

const log = faultyLog(await sqliteLog(orders.file, orders.failAt === undefined ? {} : { failAt: orders.failAt }), {
  at,
  plant: orders.plant,
  begun: ({ message, group, attempt }) =>
    say({ type: 'begin', n: numberOf(message.data), group: groupOf(group), attempt }),
  settled({ message, group }, as, ok) {
    say({ type: 'settled', n: numberOf(message.data), group: groupOf(group), as, ok })
  },
})

const bus = await openBus(log, {
  defaults: { retry: RETRY, ackWaitMs: orders.ackWaitMs ?? 30_000 },
  ...(orders.drainMs === undefined ? {} : { drainMs: orders.drainMs }),
})

/** Says when a key was remembered. */
function telling(store: IdempotencyStore, group: string): IdempotencyStore {
  return {
    seen: (key) => store.seen(key),
    async remember(key) {
      await store.remember(key)
      say({ type: 'remembered', n: Number.parseInt(key.slice(-12), 16), group })
    },
  }
}

for (const group of orders.groups) {
  const store = telling(logIdempotency(log, `keys-${group}`), group)
  bus.subscribe(
    PATTERNS[group] as string,
    async ({ data }, context) => {
      const n = numberOf(data)
      say({ type: 'start', n, group, attempt: context.attempt })
      at('before-effect')
      if (orders.poison?.includes(n)) process.kill(process.pid, 'SIGKILL')
      if (orders.handleMs !== undefined) await new Promise((resolve) => setTimeout(resolve, orders.handleMs))
      else if (n % 2 === 0) await Promise.resolve()
      if (isDoomed(group, n)) throw new Error(`${group} cannot handle ${n}`)
      if (failsOnce(group, n) && context.attempt === 1) throw new Error(`not yet: ${n}`)
      say({ type: 'effect', n, group })
      at('after-effect')
    },
    {
      group,
      middleware: [idempotent({ store, scope: group })],
      concurrency: orders.handleMs === undefined ? 8 : 1_000,
    },
  )
}

async function publish(n: number): Promise<void> {
  const { id, topic, session, priority, delayMs, data } = planned(n)
  for (;;) {
    say({ type: 'try', n })
    try {
      const { duplicate, level } = await bus.publish(topic, data, {
        id,
        priority,
        ...(session === undefined ? {} : { session }),
        ...(delayMs === undefined ? {} : { delayMs }),
      })
      say({ type: 'ack', n, duplicate, level })
      at('after-answer')
      return
    } catch (error) {
      say({ type: 'refused', n, code: isBusError(error) ? error.code : String(error) })
      if (orders.insist !== true) return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

async function isDone(on: Bus): Promise<boolean> {
  const open = (await on.channels()).map(({ name, ledger }) => {
    if (name !== 'work' || orders.groups.length === 0) return 0
    return ledger.pending + ledger.leased + ledger.delayed + ledger.held
  })
  return open.every((count) => count === 0)
}

let stopping = false
if (orders.drains === true) {
  process.on('SIGTERM', () => {
    stopping = true
    const closing = bus.close()
    // New work is refused with an error that says why.
    for (const attempt of [() => bus.publish('work.t0', 1), () => bus.request('work.t0', 1)]) {
      attempt().then(
        () => say({ type: 'note', text: 'accepted' }),
        (error: unknown) => say({ type: 'note', text: `refused ${isBusError(error) ? error.code : String(error)}` }),
      )
    }
    closing
      .then((report) => say({ type: 'note', text: `drained ${JSON.stringify(report)}` }))
      .then(() => log[Symbol.asyncDispose]())
      .then(() => process.exit(0))
      .catch((error: unknown) => {
        say({ type: 'note', text: `drain failed: ${String(error)}` })
        process.exit(1)
      })
  })
}

say({ type: 'note', text: 'open' })
const queue = [...orders.publish]
await Promise.all(
  Array.from({ length: orders.pipeline ?? 1 }, async () => {
    for (let n = queue.shift(); n !== undefined && !stopping; n = queue.shift()) await publish(n)
  }),
)
say({ type: 'note', text: 'published' })
while (!stopping && !(await isDone(bus))) await new Promise((resolve) => setTimeout(resolve, 2))
if (!stopping) {
  await bus.close()
  await log[Symbol.asyncDispose]()
  say({ type: 'note', text: 'closed' })
  process.exit(0)
}
