import { afterAll, beforeAll, expect, test } from 'vitest'
import { startNats } from '../../../test/servers/nats.ts'
import type { Server } from '../../../test/servers/server.ts'
import { connectNats } from '../../broker/nats/connect.ts'
import type { NatsLink } from '../../broker/nats/link.ts'
import { logConformance } from '../conformance/suite.ts'
import type { MessageLog } from '../log.ts'
import { type JetStreamLogOptions, jetStreamLog } from './jetstream.ts'

let server: Server
const links = new Set<NatsLink>()
const abandoned = new Set<MessageLog>()
beforeAll(async () => {
  server = await startNats()
})
afterAll(async () => {
  for (const log of abandoned) await log[Symbol.asyncDispose]()
  for (const link of links) await link[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

interface Made {
  readonly link: NatsLink
  readonly options: JetStreamLogOptions
}

const made = new WeakMap<MessageLog, Made>()
let count = 0

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
    make: (options) => open({ prefix: `suite${++count}`, graceMs: 0, ...options }),
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
    test(`${title} (jetstream)`, async () => {
      await expect(run()).resolves.toBeUndefined()
    }),
)
