// The door `swarmbus/wire`.

export { type MemoryHub, memoryHub, memoryWire } from './memory.ts'
export type { OnFrame, Wire, WireOptions, WireSubscription } from './wire.ts'
