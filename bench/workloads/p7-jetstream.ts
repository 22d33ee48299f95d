import { spaced } from '../harness/format.ts'
import type { Workload } from '../harness/types.ts'
import { rawConsumeAck, rawJetStreamPublish } from '../peers/raw-nats.ts'
import { acked, handled } from './keeping.ts'

const MESSAGES = 20_000
const IN_FLIGHT = 1_024
const PUBLISH = rawJetStreamPublish(MESSAGES, IN_FLIGHT)
const CONSUME = rawConsumeAck(MESSAGES)

export const p7: Workload = {
  id: 'P7',
  rows: [
    {
      name: 'publish → ack',
      work: `jetstream in files: ${spaced(IN_FLIGHT)} publishers, each waits until the server has its message`,
      timed:
        'making the data, envelope, id, freezing, encoding, duplicate window, acknowledgement. Raw: JSON text, publish with an id for the duplicate window, its answer',
      unit: 'msg',
      contestants: [acked('jetstream', MESSAGES, IN_FLIGHT), PUBLISH],
      bars: [
        {
          text: '≥ 0.8 of the raw client',
          value: (medians) => medians.of('swarmbus') / medians.of(PUBLISH.name),
          atLeast: 0.8,
        },
      ],
    },
    {
      name: 'publish → handled → acked',
      work: 'the same with one durable group: until every message is handled and its settlement is kept',
      timed:
        'publish as above, and reading, hand-out with leases, async handler, settlement. Raw: reading and acknowledging what is there already',
      unit: 'msg',
      contestants: [handled('jetstream', MESSAGES, IN_FLIGHT), CONSUME],
      bars: [
        {
          text: '≥ 0.5 of raw consume + ack',
          value: (medians) => medians.of('swarmbus') / medians.of(CONSUME.name),
          atLeast: 0.5,
        },
      ],
    },
  ],
}
