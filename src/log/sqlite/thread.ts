import { parentPort, workerData } from 'node:worker_threads'
import { systemEnv } from '../../kit/env.ts'
import { BusError } from '../../kit/errors.ts'
import { type Engine, openEngine } from './engine.ts'
import { storeError, toFault } from './faults.ts'
import { inspect } from './inspect.ts'
import type { Asked, Question, ThreadOptions, Told } from './protocol.ts'

// The thread of a sqlite store: it alone touches the file, so that the event loop of the bus never waits for a disk. It answers
// questions in the order in which they come.

const options = workerData as ThreadOptions
const port = parentPort
if (port === null) throw new BusError('STORE_FAILED', 'thread.ts runs as a worker of a sqlite store only')
const env = systemEnv()
let engine: Engine | undefined

function run(id: number, question: Question): unknown {
  if (question.type === 'load') {
    engine ??= openEngine(options, env)
    return engine.state
  }
  if (question.type === 'inspect') {
    const tell = (checked: number, total: number): void =>
      port?.postMessage({ id, type: 'progress', checked, total } satisfies Told)
    return inspect(options, env, tell)
  }
  if (question.type === 'close') {
    engine?.close()
    engine = undefined
    return undefined
  }
  if (engine === undefined) throw new BusError('STORE_FAILED', `${options.file} is not open`)
  return engine.answer(question)
}

port.on('message', ({ id, question }: Asked) => {
  let told: Told
  const size = question.type === 'commit' ? question.buffer.byteLength : 0
  const transfer: ArrayBuffer[] = []
  try {
    const answer = run(id, question)
    const buffer = (answer as { buffer?: unknown } | undefined)?.buffer
    if (buffer instanceof ArrayBuffer) transfer.push(buffer)
    told = { id, type: 'answer', answer }
  } catch (error) {
    told = { id, type: 'fault', fault: toFault(storeError(error, options.file)) }
  }
  if (question.type === 'commit') engine?.beforeAnswer()
  port.postMessage(told, transfer)
  if (question.type === 'commit') engine?.rest(size)
  if (question.type === 'close') port.close()
})
