import { once } from 'node:events'
import { createBus } from '../../src/index.ts'
import { openWire } from './broker.ts'

// Another process of a test: joins the swarm, says "ready", and leaves when it is told to.
const [url = '', prefix = '', name = ''] = process.argv.slice(2)
const { wire, link } = await openWire(url, prefix)
const bus = createBus({ wire, name })
bus.subscribe('sum', ({ data }) => (data as number[]).reduce((x, y) => x + y, 0), { group: 'adders' })
bus.subscribe('who', () => name)
bus.subscribe(`slow.${name}`, () => new Promise(() => undefined))
bus.subscribe(`count.${name}`, async function* ({ data }) {
  for (let at = 0; at < (data as number); at++) yield { at, bytes: Uint8Array.of(at & 0xff) }
})
bus.subscribe(
  'work.*',
  ({ topic, session, data }, context) =>
    context.bus.publish('done', [name, topic, session, data]).then(() => undefined),
  {
    group: 'workers',
  },
)
bus.register(name, { capabilities: [`is-${name}`], handler: ({ data }) => `${name} got ${data}` })
await bus.ready
process.send?.('ready')
await once(process, 'message')
await bus.close()
await wire[Symbol.asyncDispose]()
await link[Symbol.asyncDispose]()
process.disconnect()
