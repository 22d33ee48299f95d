import { afterAll, beforeAll, expect, test } from 'vitest'
import { logConformance } from '../../src/log/conformance/suite.ts'
import type { MessageLog } from '../../src/log/log.ts'

/** Where the suite of logs runs: what is started, how a log is made there, and how its tests are told. */
export interface LogPlace<Link extends AsyncDisposable, Options extends object> {
  readonly name: string
  readonly start: () => Promise<AsyncDisposable & { readonly url: string }>
  readonly connect: (url: string) => Promise<Link>
  readonly make: (link: Link, options: Options) => Promise<MessageLog>
  /** Of all its logs; each gets a prefix of its own. */
  readonly options: Options
  /** Cuts the connection of a process that was killed. Default: ends it. */
  readonly cut?: (link: Link) => Promise<void>
  /** Milliseconds that a test may take. Default: as for all tests. */
  readonly timeoutMs?: number
  /** Resolves when a process that was killed is taken for dead. Default: at once. */
  readonly dead?: () => Promise<void>
}

/** Registers the suite of logs on a server; what is given back opens another log there. */
export function logsOnServer<Link extends AsyncDisposable, Options extends object>(
  place: LogPlace<Link, Options>,
): (options: Options) => Promise<MessageLog> {
  let server: AsyncDisposable & { readonly url: string }
  const links = new Set<Link>()
  const abandoned = new Set<MessageLog>()
  const made = new WeakMap<MessageLog, { readonly link: Link; readonly options: Options }>()
  const timeout = place.timeoutMs === undefined ? {} : { timeout: place.timeoutMs }
  let count = 0
  beforeAll(async () => {
    server = await place.start()
  }, 60_000)
  afterAll(async () => {
    for (const log of abandoned) await log[Symbol.asyncDispose]()
    for (const link of links) await link[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })

  const madeOf = (log: MessageLog) => made.get(log) as { readonly link: Link; readonly options: Options }

  async function open(options: Options): Promise<MessageLog> {
    const link = await place.connect(server.url)
    links.add(link)
    const log = await place.make(link, options)
    made.set(log, { link, options })
    return log
  }

  async function end(link: Link): Promise<void> {
    links.delete(link)
    await link[Symbol.asyncDispose]()
  }

  /** What a killed process leaves: its connection is closed, and nothing was said before. */
  async function abandon(log: MessageLog): Promise<void> {
    const { link } = madeOf(log)
    abandoned.add(log)
    if (place.cut === undefined) return end(link)
    links.delete(link)
    await place.cut(link)
  }

  logConformance(
    {
      make: (options) => open({ prefix: `suite${++count}`, ...place.options, ...options }),
      async reopen(log) {
        const { link, options } = madeOf(log)
        await log[Symbol.asyncDispose]()
        await end(link)
        return open(options)
      },
      async crash(log) {
        await abandon(log)
        await place.dead?.()
        return open(madeOf(log).options)
      },
      another: (log) => open(madeOf(log).options),
      abandon,
    },
    (title, run) =>
      test(`${title} (${place.name})`, timeout, async () => {
        await expect(run()).resolves.toBeUndefined()
      }),
  )
  return open
}
