// The door `swarmbus/lease`.

export type { HoldOptions, Lease, Leases } from './lease.ts'
export { type MemoryLeaseHub, type MemoryLeasesOptions, memoryLeaseHub, memoryLeases } from './memory.ts'
export { type SqliteLeasesOptions, sqliteLeases } from './sqlite.ts'
