// harold (operations) takes a task through the swarm and reports; whatever goes wrong on the way becomes part of the report.

import { type Context, type Handler, isBusError, type Priority } from 'swarmbus'
import { joinDeployPool, type Tools } from './agents.ts'
import { type Order, type Said, type Stage, stagesOf, type Work } from './work.ts'

/** What harold is told to do. */
export interface Mission extends Order {
  /** Deadline on the clock of `performance.now()`. */
  readonly dueMs: number | undefined
}

/** What became of a task. */
export interface Report extends Said {
  readonly by: string
  readonly done: boolean
  /** The bus did not take the task at all. */
  readonly refused?: boolean
  /** How often the validator sent something back. */
  readonly returned: number
  /** Undefined for a task without a deadline, and for one that failed for another reason. */
  readonly inTime: boolean | undefined
  /** Why it was not done. */
  readonly reason?: string
}

/** Longest a task without a deadline may take. */
export const LONG_MS = 3_600_000

export function registerHarold(tools: Tools): void {
  const handler: Handler = (message, context) =>
    message.to === 'harold' ? carryOut(tools, message.data as Mission, message.priority, context) : undefined
  joinDeployPool(tools.bus.register('harold', { capabilities: ['operations'], handler }), tools)
}

async function carryOut(tools: Tools, mission: Mission, priority: Priority, context: Context): Promise<Report> {
  const { text, task, about, dueMs } = mission
  const stages = stagesOf(text)
  const said: string[] = []
  let returned = 0
  const report = (rest: Pick<Report, 'done' | 'inTime' | 'text' | 'reason'>): Report => ({
    by: 'harold',
    returned,
    ...rest,
  })
  for (const [index, stage] of stages.entries()) {
    const timeoutMs = dueMs === undefined ? LONG_MS : dueMs - performance.now()
    try {
      if (timeoutMs < 1) return report(missed(stage, index, stages.length))
      const result = await takeStage(tools, stage, { text, task, about }, { priority, timeoutMs }, context)
      if ('returned' in result) returned += result.returned
      said.push(result.text)
    } catch (error) {
      if (isBusError(error, 'REQUEST_TIMEOUT') && dueMs !== undefined)
        return report(missed(stage, index, stages.length))
      const reason = reasonOf(error)
      return report({ done: false, inTime: undefined, text: `not done: ${reason}`, reason })
    }
  }
  const inTime = dueMs === undefined ? undefined : performance.now() <= dueMs
  return report({ done: true, inTime, text: `done: ${said.join('; ')}` })
}

/** One stage: an order to a pool, or a question to everybody. */
async function takeStage(
  { bus, ask, observer }: Tools,
  stage: Stage,
  order: Order,
  limits: { readonly priority: Priority; readonly timeoutMs: number },
  context: Context,
): Promise<Work | Said> {
  if (stage !== 'status') return ask<Work>(context.bus, stage, order, limits)
  const count = bus.subscribers('status').length
  const heard: string[] = []
  const { priority } = limits
  for await (const answer of context.bus.requestMany<Said>('status', order, { priority, count, maxWaitMs: 1_000 })) {
    observer.answered(answer)
    heard.push(answer.data.text)
  }
  return { text: `${heard.length} of ${count} agents answered` }
}

function missed(stage: Stage, index: number, of: number): Pick<Report, 'done' | 'inTime' | 'text' | 'reason'> {
  const reason = `deadline missed at ${stage} (stage ${index + 1} of ${of})`
  return { done: false, inTime: false, text: `not done: ${reason}`, reason }
}

/** The report of a task whose request to harold failed: refused by the bus, or ended with it. */
export function reportFailure(error: unknown): Report {
  const refused = isBusError(error) && (error.family === 'resource' || error.code === 'NOT_RUNNING')
  const reason = refused ? `${reasonOf(error)}: ${error.next}` : reasonOf(error)
  return { by: 'you', done: false, refused, returned: 0, inTime: undefined, text: `not done: ${reason}`, reason }
}

/** The reason in the words of whoever failed: the cause of a HANDLER_FAILED, else the error itself with its code. */
function reasonOf(error: unknown): string {
  if (!isBusError(error)) return String(error)
  const { cause, code, message } = error
  return cause instanceof Error && code === 'HANDLER_FAILED' ? cause.message : `${message} (${code})`
}
