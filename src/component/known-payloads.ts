import type { Field, Fields } from './fields.ts'

const text: Field = { type: 'text' }
const aText: Field = { type: 'text', required: false }
const anything: Field = { type: 'any' }
const perhaps: Field = { type: 'any', required: false }
const anObject: Field = { type: 'object', required: false }
const aCount: Field = { type: 'whole', min: 0, required: false }
const aNumber: Field = { type: 'number', min: 0, required: false }

/** The fields that every payload made of fields has besides its own: filled in by whoever emits. */
export const SHARED_FIELDS: Fields = {
  timestamp: { type: 'number', required: false },
  component_id: aText,
  component_type: aText,
}

const stream = (fields: Fields): Fields => ({ stream_id: text, session_id: aText, ...fields })

/** The payloads of the events of components. */
export const KNOWN_PAYLOADS: Readonly<Record<string, Fields>> = {
  'input.received': { input: anything, inputs: anObject, session_id: aText },
  'agent.thought': { thought: text },
  'agent.action': { action: anything },
  'agent.response': { response: anything, session_id: aText },
  'agent.step_complete': { step: { type: 'whole', min: 0 }, session_id: aText },
  'agent.error': { error: anything, error_type: { type: 'text', default: 'Unknown' }, context: perhaps },
  'tool.call': { tool: text, args: perhaps },
  'tool.observation': { tool: text, observation: anything },
  'tool.execute': { tool: text, args: perhaps, request_id: aText },
  'tool.result': { tool: text, result: anything, request_id: aText },
  'tool.error': { tool: text, error: anything, error_type: { type: 'text', default: 'Unknown' }, request_id: aText },
  'component.response': { result: anything, request_id: aText },
  'component.heartbeat': { state: aText, load: aNumber },
  'session.connected': { session_id: text },
  'stream.created': stream({ source: aText, target: aText, data_type: aText }),
  'stream.chunk': stream({
    chunk_index: { type: 'whole', min: 0 },
    data: anything,
    is_final: { type: 'flag', required: false },
  }),
  'stream.completed': stream({ chunks: aCount, bytes: aCount }),
  'stream.failed': stream({ error: anything }),
  'stream.chunk_missing': stream({ chunk_index: { type: 'whole', min: 0 } }),
  'metrics.component_performance': {
    processing_time_ms: { type: 'number', min: 0 },
    memory_usage_mb: aNumber,
    tokens_processed: aNumber,
    cost_estimate: aNumber,
    custom_metrics: anObject,
    session_id: aText,
  },
}
