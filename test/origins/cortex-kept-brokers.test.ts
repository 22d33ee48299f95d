import { BROKERS } from '../kept/brokers.ts'
import { cortexKeptAuditCases } from './cases/cortex-kept-audit.ts'
import { cortexKeptDeliveryCases } from './cases/cortex-kept-delivery.ts'
import { cortexKeptFeaturesCases } from './cases/cortex-kept-features.ts'
import { cortexKeptMessagesCases } from './cases/cortex-kept-messages.ts'
import { cortexKeptRetryCases } from './cases/cortex-kept-retry.ts'

cortexKeptAuditCases(BROKERS)
cortexKeptDeliveryCases(BROKERS)
cortexKeptFeaturesCases(BROKERS)
cortexKeptMessagesCases(BROKERS)
cortexKeptRetryCases(BROKERS)
