import { jetStreamConformance } from '../../../test/conformance/jetstream.ts'
import { startNats } from '../../../test/servers/nats.ts'

jetStreamConformance({ start: () => startNats(), name: 'jetstream' })
