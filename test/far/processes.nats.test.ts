import { startNats } from '../servers/nats.ts'
import { processCases } from './cases.ts'

processCases(() => startNats())
