import { BROKERS } from '../kept/brokers.ts'
import { woodworkKeptBusCases } from './cases/woodwork-kept-bus.ts'
import { woodworkKeptModesCases } from './cases/woodwork-kept-modes.ts'
import { woodworkKeptStopCases } from './cases/woodwork-kept-stop.ts'

woodworkKeptBusCases(BROKERS)
woodworkKeptModesCases(BROKERS)
woodworkKeptStopCases(BROKERS)
