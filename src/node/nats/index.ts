// The door `swarmbus/nats`: the parts of `openBus('nats://…')`, for those who put them together themselves.

export { connectNats } from '../../broker/nats/connect.ts'
export type { NatsAskOptions, NatsLink, NatsLinkOptions } from '../../broker/nats/link.ts'
export {
  type NatsLevel,
  type NatsProof,
  type NatsProofOptions,
  type NatsReason,
  natsProof,
} from '../../broker/nats/proof.ts'
export { type LinkEvent, Watch } from '../../broker/watch.ts'
export { type NatsLeasesOptions, natsLeases } from '../../lease/nats.ts'
export { type JetStreamLogOptions, jetStreamLog } from '../../log/jetstream/jetstream.ts'
export { type HeldAppendsOptions, heldAppends } from '../../log/offline.ts'
export { type NatsWireOptions, natsWire } from '../../wire/nats.ts'
