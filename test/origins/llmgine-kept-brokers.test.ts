import { BROKERS } from '../kept/brokers.ts'
import { llmgineKeptLifeCases } from './cases/llmgine-kept-life.ts'
import { llmgineKeptResilienceCases } from './cases/llmgine-kept-resilience.ts'

llmgineKeptLifeCases(BROKERS)
llmgineKeptResilienceCases(BROKERS)
