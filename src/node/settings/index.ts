// The door `swarmbus/settings`: the settings of united systems as `openBus` takes them.

export { type CortexMessaging, type CortexSettings, cortexSettings } from './cortex.ts'
export type { Environment, SystemSettings } from './settings.ts'
export { WOODWORK_BUS_TYPES, type WoodworkBusSettings, type WoodworkBusType, woodworkSettings } from './woodwork.ts'
