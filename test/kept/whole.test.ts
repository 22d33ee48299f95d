import { wholeCases } from './cases/whole.ts'
import { BACKENDS } from './support.ts'

wholeCases(BACKENDS)
