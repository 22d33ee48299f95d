import { orderCases } from './cases/order.ts'
import { BACKENDS } from './support.ts'

orderCases(BACKENDS)
