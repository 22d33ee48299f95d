import { BROKERS } from './brokers.ts'
import { replayCases } from './cases/replay.ts'

replayCases(BROKERS)
