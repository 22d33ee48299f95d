import { sendManyCases } from './cases/send-many.ts'
import { BACKENDS } from './support.ts'

sendManyCases(BACKENDS)
