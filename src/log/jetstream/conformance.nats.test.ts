import { logsOnServer } from '../../../test/conformance/logs.ts'
import { startNats } from '../../../test/servers/nats.ts'
import { connectNats } from '../../broker/nats/connect.ts'
import { jetStreamLog } from './jetstream.ts'

logsOnServer({
  name: 'jetstream',
  start: () => startNats(),
  connect: connectNats,
  make: jetStreamLog,
  // No grace: whoever has no connection is gone.
  options: { graceMs: 0 },
})
