import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectNats } from '../../src/broker/nats/connect.ts'
import type { NatsLink } from '../../src/broker/nats/link.ts'
import { logConformance } from '../../src/log/conformance/suite.ts'
import { type JetStreamLogOptions, jetStreamLog } from '../../src/log/jetstream/jetstream.ts'
import type { MessageLog } from '../../src/log/log.ts'

interface Made {
  readonly link: NatsLink
  readonly options: JetStreamLogOptions
}

/** Where the suite of logs runs: what is started, what its logs are made of, and how its tests are told. */
export interface JetStreamPlace {
  readonly start: () => Promise<AsyncDisposable & { readonly url: string }>
  readonly options?: JetStreamLogOptions
  readonly name: string
}

/** Registers the suite of logs; what is given back opens another log there. */
export function jetStreamConformance(place: JetStreamPlace): (options: JetStreamLogOptions) => Promise<MessageLog> {
  let server: Awaited<ReturnType<JetStreamPlace['start']>>
  const links = new Set<NatsLink>()
  const abandoned = new Set<MessageLog>()
  const made = new WeakMap<MessageLog, Made>()
  let count = 0
  beforeAll(async () => {
    server = await place.start()
  }, 60_000)
  afterAll(async () => {
    for (const log of abandoned) await log[Symbol.asyncDispose]()
    for (const link of links) await link[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })

  async function open(options: JetStreamLogOptions): Promise<MessageLog> {
    const link = await connectNats(server.url)
    links.add(link)
    const log = await jetStreamLog(link, options)
    made.set(log, { link, options })
    return log
  }

  /** What a killed process leaves: its connection is closed, and nothing was said before. */
  async function abandon(log: MessageLog): Promise<void> {
    const { link } = made.get(log) as Made
    abandoned.add(log)
    links.delete(link)
    await link[Symbol.asyncDispose]()
  }

  logConformance(
    {
      // No grace: whoever has no connection is gone.
      make: (options) => open({ prefix: `suite${++count}`, graceMs: 0, ...place.options, ...options }),
      async reopen(log) {
        const { link, options } = made.get(log) as Made
        await log[Symbol.asyncDispose]()
        links.delete(link)
        await link[Symbol.asyncDispose]()
        return open(options)
      },
      async crash(log) {
        await abandon(log)
        return open((made.get(log) as Made).options)
      },
      another: (log) => open((made.get(log) as Made).options),
      abandon,
    },
    (title, run) =>
      test(`${title} (${place.name})`, async () => {
        await expect(run()).resolves.toBeUndefined()
      }),
  )
  return open
}
