import { BROKERS } from '../kept/brokers.ts'
import { veritasKeptCrashCases } from './cases/veritas-kept-crash.ts'
import { veritasKeptDeliveryCases } from './cases/veritas-kept-delivery.ts'
import { veritasKeptStopCases } from './cases/veritas-kept-stop.ts'

veritasKeptCrashCases(BROKERS)
veritasKeptDeliveryCases(BROKERS)
veritasKeptStopCases(BROKERS)
