import { BROKERS } from '../kept/brokers.ts'
import { zejzlKeptReceiveCases } from './cases/zejzl-kept-receive.ts'

zejzlKeptReceiveCases(BROKERS)
