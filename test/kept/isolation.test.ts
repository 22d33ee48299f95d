import { isolationCases } from './cases/isolation.ts'
import { BACKENDS } from './support.ts'

isolationCases(BACKENDS)
