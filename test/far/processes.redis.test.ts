import { startRedis } from '../servers/redis.ts'
import { processCases } from './cases.ts'

processCases(() => startRedis())
