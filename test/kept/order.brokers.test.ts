import { BROKERS } from './brokers.ts'
import { orderCases } from './cases/order.ts'

orderCases(BROKERS)
