// harold (operations) takes a task through the swarm and reports; whatever goes wrong on the way becomes part of the report.

import { type Context, type Handler, isBusError, type Message, type Priority } from 'swarmbus'
import { ANSWER_STATUS, joinDeployPool, LONG_MS, type Member, type Tools } from './agents.ts'
import { agentsThere } from './crew.ts'
import { type Order, type Said, type Stage, stagesOf, type Work } from './work.ts'

/** What harold is told to do. It may come a second time, after a run that was killed: what was done already is kept. */
export interface Mission extends Order {
  /** Names the mission in every run. */
  readonly key: string
  /** Who gave the task, and gets the report. */
  readonly by: string
  /** Deadline in wall-clock milliseconds: a mission may outlive the process. */
  readonly dueAt: number | undefined
}

/** What became of a task. */
export interface Report extends Said {
  readonly by: string
  /** The mission, and its words. */
  readonly key: string
  readonly mission: string
  readonly done: boolean
  /** The bus did not take the task at all. */
  readonly refused?: boolean
  /** Not done in this run: the next one goes on with it. */
  readonly left?: boolean
  /** How often the validator sent something back. */
  readonly returned: number
  /** Undefined for a task without a deadline, and for one that failed for another reason. */
  readonly inTime: boolean | undefined
  /** Why it was not done. */
  readonly reason?: string
}

/** The stages of a mission that are done, in `progress.KEY`. */
interface Progress {
  readonly stage: number
  readonly text: string
  readonly returned: number
}

/** Who is in charge. */
export function lead(name: string, tools: Tools): Member {
  const handle: Handler = async (message, context) => {
    if (message.to !== name) return
    const mission = message.data as Mission
    const report = await carryOut(tools, mission, message, context)
    const { by, key } = mission
    // It waits for whoever has gone meanwhile.
    if (!agentsThere(tools.bus).includes(by)) tools.bus.declare(by)
    // Once for each mission, also when the first report is on its way already.
    await context.bus.send(by, report, { priority: message.priority, idempotencyKey: `report ${key}` })
  }
  return { capabilities: ['operations'], handle, join: () => joinDeployPool(name, tools) }
}

async function carryOut(tools: Tools, mission: Mission, message: Message, context: Context): Promise<Report> {
  const { text, task, about, dueAt, key } = mission
  const { priority } = message
  const stages = stagesOf(text)
  const before = await progressOf(tools, mission, message, context)
  const said = before.map((one) => one.text)
  let returned = before.reduce((sum, one) => sum + one.returned, 0)
  const report = (rest: Pick<Report, 'done' | 'inTime' | 'text' | 'reason'>): Report => ({
    by: 'harold',
    key,
    mission: text,
    returned,
    ...rest,
  })
  for (const [index, stage] of stages.entries()) {
    if (index < before.length) continue
    const timeoutMs = dueAt === undefined ? LONG_MS : dueAt - Date.now()
    try {
      if (timeoutMs < 1) return report(missed(stage, index, stages.length))
      const order: Order = { text, task, about }
      const result = await takeStage(tools, stage, order, { priority, timeoutMs, signal: context.signal }, context)
      const back = 'returned' in result ? result.returned : 0
      returned += back
      said.push(result.text)
      const progress: Progress = { stage: index, text: result.text, returned: back }
      await context.bus.publish(`progress.${key}`, progress)
    } catch (error) {
      // Not the mission's fault: the next run, or the next try, goes on from here.
      const isOfLog = isBusError(error, 'PUBLISH_UNKNOWN') || isBusError(error, 'STORE_FAILED')
      if (context.signal.aborted || isOfLog) throw error
      if (isBusError(error, 'REQUEST_TIMEOUT') && dueAt !== undefined)
        return report(missed(stage, index, stages.length))
      const reason = reasonOf(error)
      return report({ done: false, inTime: undefined, text: `not done: ${reason}`, reason })
    }
  }
  const inTime = dueAt === undefined ? undefined : Date.now() <= dueAt
  return report({ done: true, inTime, text: `done: ${said.join('; ')}` })
}

/** The stages that an earlier run, or another process, finished. */
async function progressOf(
  { bus, startedAt, tell }: Tools,
  mission: Mission,
  message: Message,
  context: Context,
): Promise<Progress[]> {
  if (context.attempt === 1 && message.time >= startedAt) return []
  const done: Progress[] = []
  for await (const { data } of bus.replay<Progress>(`progress.${mission.key}`, { from: { time: message.time } })) {
    if (data.stage === done.length) done.push(data)
  }
  if (done.length > 0) tell({ type: 'note', text: `harold goes on with "${mission.text}" after stage ${done.length}` })
  return done
}

/** One stage: an order to a pool, or a question to everybody. */
async function takeStage(
  { bus, ask, observer }: Tools,
  stage: Stage,
  order: Order,
  limits: { readonly priority: Priority; readonly timeoutMs: number; readonly signal: AbortSignal },
  context: Context,
): Promise<Work | Said> {
  if (stage !== 'status') return ask<Work>(context.bus, stage, order, { ...limits, from: 'harold' })
  const count = agentsThere(bus).filter((name) => ANSWER_STATUS.includes(name)).length
  const heard: string[] = []
  const { priority } = limits
  if (count === 0) return { text: 'nobody is there to answer' }
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

/** The report of a task that harold did not get, or that was left for the next run. */
export function reportFailure(key: string, mission: string, error: unknown): Report {
  const refused = isBusError(error) && (error.family === 'resource' || error.code === 'NOT_RUNNING')
  const reason = refused ? `${reasonOf(error)}: ${error.next}` : reasonOf(error)
  return {
    by: 'you',
    key,
    mission,
    done: false,
    refused,
    returned: 0,
    inTime: undefined,
    text: `not done: ${reason}`,
    reason,
  }
}

/** The reason in the words of whoever failed: the cause of a HANDLER_FAILED, else the error itself with its code. */
function reasonOf(error: unknown): string {
  if (!isBusError(error)) return String(error)
  const { cause, code, message } = error
  return cause instanceof Error && code === 'HANDLER_FAILED' ? cause.message : `${message} (${code})`
}
