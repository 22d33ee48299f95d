import { BROKERS } from './brokers.ts'
import { isolationCases } from './cases/isolation.ts'
import { poisonCases } from './cases/poison.ts'
import { sendManyCases } from './cases/send-many.ts'
import { wholeCases } from './cases/whole.ts'

isolationCases(BROKERS)
poisonCases(BROKERS)
sendManyCases(BROKERS)
wholeCases(BROKERS)
