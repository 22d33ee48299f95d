import type { Context } from '../../../bus/handler.ts'
import { BusError, describeThrown } from '../../../kit/errors.ts'
import type { Component } from '../../component.ts'
import type { Behaviour } from '../../kind.ts'
import type { Surroundings } from '../llm/prompt.ts'
import { systemText } from '../llm/prompt.ts'
import { type Answer, collectAnswer, type Model, type ToolCall, type Turn } from '../llm/provider.ts'
import { isRecord, jsonOf } from '../text.ts'
import { ASK_USER, type Asker } from './ask-user.ts'
import { shortened } from './summary.ts'
import { tokensIn } from './tokens.ts'
import { type OfferedTool, offeredTools, toolNamed } from './tools.ts'

/** What a loop works with. */
export interface LoopHost {
  readonly own: Component
  readonly model: Model
  readonly tools: ReadonlyMap<string, Behaviour>
  readonly around: Surroundings
  readonly asker: Asker
  readonly limits: LoopLimits
  readonly planning: boolean
}

/** How far a loop goes. */
export interface LoopLimits {
  readonly rounds: number
  /** Tokens of the conversation above which it is summed up. */
  readonly tokens: number
  /** Tokens of an observation above which it becomes a notice. */
  readonly observationTokens: number
  /** Milliseconds for one answer of the model, and for one tool. */
  readonly stepMs: number
  readonly askMs: number
}

const PLAN = 'Write a short plan: the steps that lead to the answer, one a line. Do not carry them out yet.'

/** Works on one question until the model answers without asking for a tool. Throws HANDLER_FAILED after too many rounds. */
export async function runLoop(
  host: LoopHost,
  question: string,
  handling: Context,
  session: string | undefined,
): Promise<string> {
  const { own, model, around, limits } = host
  const asked: Turn = { role: 'user', text: question }
  const system = await systemText(around, question)
  let turns: readonly Turn[] = [...((await around.memory?.data(session)) ?? []), asked]
  const offered = offeredTools(host.tools, [ASK_USER])
  const tools = [...offered.map((one) => one.description), ASK_USER]

  async function generate(now: readonly Turn[], withTools: boolean, also?: string): Promise<Answer> {
    handling.signal.throwIfAborted()
    handling.extend(limits.stepMs)
    const told = [system, also].filter((text) => text !== undefined).join('\n\n')
    const answer = await collectAnswer(
      model.generate({
        system: told === '' ? undefined : told,
        turns: now,
        tools: withTools ? tools : [],
        session,
        signal: handling.signal,
      }),
    )
    const { usage } = answer
    if (usage !== undefined) own.measure({ tokens: usage.inputTokens + usage.outputTokens, cost: usage.cost })
    return answer
  }

  if (host.planning) {
    const { text } = await generate(turns, false, PLAN)
    await told(own, 'agent.thought', { thought: text })
    turns = [...turns, { role: 'assistant', text }, { role: 'user', text: 'Now carry the plan out.' }]
  }

  for (let step = 0; step < limits.rounds; step++) {
    handling.extend(limits.stepMs)
    turns = await shortened(turns, { model, session, signal: handling.signal, limit: limits.tokens })
    const answer = await generate(turns, true)
    const thought = answer.thought || (answer.calls.length > 0 ? answer.text : '')
    if (thought !== '') await told(own, 'agent.thought', { thought })
    const results: Turn[] = []
    for (const call of answer.calls) {
      results.push({
        role: 'tool',
        call: call.id,
        tool: call.name,
        text: await observe(host, offered, call, handling, session),
      })
    }
    await told(own, 'agent.step_complete', { step, ...(session === undefined ? {} : { session_id: session }) })
    if (results.length === 0) {
      await around.memory?.add(session, [asked, { role: 'assistant', text: answer.text }])
      return answer.text
    }
    turns = [...turns, { role: 'assistant', text: answer.text, calls: answer.calls }, ...results]
  }
  throw new BusError('HANDLER_FAILED', `no answer after ${limits.rounds} rounds`)
}

/** Carries one call out; what came of it, a fault too, as the model is told. Pipes may change the action, the call and the observation. */
async function observe(
  host: LoopHost,
  offered: readonly OfferedTool[],
  call: ToolCall,
  handling: Context,
  session: string | undefined,
): Promise<string> {
  const { own } = host
  const action = await told(own, 'agent.action', { action: { tool: call.name, inputs: call.inputs } })
  if (typeof action === 'string') return action
  const wanted = isRecord(action.action) ? action.action : {}
  const called = await told(own, 'tool.call', { tool: wanted.tool ?? call.name, args: wanted.inputs ?? call.inputs })
  if (typeof called === 'string') return called
  const tool = String(called.tool)
  const args = isRecord(called.args) ? called.args : {}
  const seen = await told(own, 'tool.observation', {
    tool,
    observation: await carryOut(host, offered, { tool, args }, handling, session),
  })
  return typeof seen === 'string' ? seen : jsonOf(seen.observation)
}

async function carryOut(
  { own, asker, limits }: LoopHost,
  offered: readonly OfferedTool[],
  { tool, args }: { readonly tool: string; readonly args: Readonly<Record<string, unknown>> },
  handling: Context,
  session: string | undefined,
): Promise<string> {
  const { signal } = handling
  try {
    if (tool === ASK_USER.name) {
      handling.extend(limits.askMs + limits.stepMs)
      return await asker.ask(own, { question: jsonOf(args.question), session, limitMs: limits.askMs, signal })
    }
    const { component, action } = toolNamed(offered, tool)
    // The tool's own limit ends first, so that its failure is told here, and not as this handler's.
    handling.extend(limits.stepMs * 2)
    const data = action === undefined ? jsonOf(args.input ?? args) : { action, inputs: args }
    const result = jsonOf(await own.request(component, data, { timeoutMs: limits.stepMs, signal }))
    const tokens = tokensIn(result)
    if (tokens <= limits.observationTokens) return result
    return `The result of ${tool} is not shown: it has about ${tokens} tokens, and at most ${limits.observationTokens} are. Ask for less of it.`
  } catch (error) {
    signal.throwIfAborted()
    return `The tool ${tool} failed: ${describeThrown(error)}`
  }
}

/** Emits an event and gives back what its pipes made of the payload; a text for the model when one of them stopped it. */
async function told(
  own: Component,
  event: string,
  payload: Readonly<Record<string, unknown>>,
): Promise<Readonly<Record<string, unknown>> | string> {
  const result = await own.emit(event, payload, { route: false })
  if (result.stoppedBy !== undefined) return `Not carried out: "${result.stoppedBy}" stopped ${event}.`
  return isRecord(result.payload) ? result.payload : payload
}
