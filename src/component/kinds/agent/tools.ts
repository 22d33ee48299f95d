import { BusError } from '../../../kit/errors.ts'
import type { Behaviour, ToolDescription } from '../../kind.ts'

/** A tool of an agent: what it is called there, and what is asked of which component. */
export interface OfferedTool {
  readonly description: ToolDescription
  readonly component: string
  /** Undefined: the component describes no tools, and gets the text of `input`. */
  readonly action: string | undefined
}

/** Joins the names of component and tool where the tool's alone would name several. */
const JOINT = '__'

/** The tools of an agent: those that its components describe, under their own names where these are unique. */
export function offeredTools(
  components: ReadonlyMap<string, Behaviour>,
  own: readonly ToolDescription[],
): readonly OfferedTool[] {
  const all = [...components].flatMap(([component, behaviour]) => toolsOf(component, behaviour))
  const times = new Map<string, number>()
  for (const { name } of [...own, ...all.map((one) => one.description)]) times.set(name, (times.get(name) ?? 0) + 1)
  return all.map((one) => {
    const { name } = one.description
    if (times.get(name) === 1) return one
    return { ...one, description: { ...one.description, name: `${one.component}${JOINT}${name}` } }
  })
}

function toolsOf(component: string, behaviour: Behaviour): readonly OfferedTool[] {
  if (behaviour.tools === undefined) {
    const inputs = { type: 'object', properties: { input: { type: 'string' } }, required: ['input'] }
    return [{ component, action: undefined, description: { name: component, summary: `asks "${component}"`, inputs } }]
  }
  return behaviour.tools().map((description) => ({ component, action: description.name, description }))
}

/** The tool that a model means by a name: the name it was offered, `component.tool`, or a component's only tool. Throws UNKNOWN_AGENT. */
export function toolNamed(tools: readonly OfferedTool[], name: string): OfferedTool {
  const named = tools.find(({ description }) => description.name === name)
  const joined = tools.find(
    ({ component, action }) => name === `${component}.${action}` || name === `${component}${JOINT}${action}`,
  )
  const only = tools.filter(({ component }) => component === name)
  const found = named ?? joined ?? (only.length === 1 ? only[0] : undefined)
  if (found !== undefined) return found
  const names = tools.map(({ description }) => description.name).join(', ')
  throw new BusError('UNKNOWN_AGENT', `there is no tool "${name}"; there are: ${names || 'none'}`)
}
