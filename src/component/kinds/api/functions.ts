import { readFile } from 'node:fs/promises'
import { extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { BusError, describeThrown } from '../../../kit/errors.ts'
import type { Behaviour, KindDefinition, ToolDescription } from '../../kind.ts'
import { defineKind } from '../define.ts'
import { type Settings, settingsOf } from '../settings.ts'
import { toolRequestOf } from '../text.ts'
import { toolOf } from './schema.ts'
import { type Parameter, type Signature, signatureOf } from './signature.ts'

const ENDS = new Set(['.ts', '.mts', '.js', '.mjs', '.cjs', '.cts'])

interface Loaded {
  readonly signature: Signature
  readonly tool: ToolDescription
  run(...args: unknown[]): unknown
}

/** `api functions`: the exported functions of a module as tools, with their parameters, defaults and comments as descriptions. */
export const FUNCTIONS: KindDefinition = defineKind({
  kind: 'api functions',
  role: 'tool',
  summary: 'the exported functions of a TypeScript or JavaScript module',
  keys: {
    path: { type: 'text', required: true, summary: 'the module beside the .ww file' },
    only: { type: 'texts', summary: 'names of the functions that may be called; without it all that are exported' },
    timeout: { type: 'duration', min: 0.001, default: 60, summary: 'how long one call may take' },
  },
  async make(spec, { folder }): Promise<Behaviour> {
    const settings = settingsOf(spec, FUNCTIONS)
    const functions = await loadFunctions(settings, folder)
    return {
      tools: () => [...functions.values()].map((one) => one.tool),
      handlerTimeoutMs: settings.ms('timeout') as number,
      async handle({ data }) {
        const asked = requestIn(data, functions)
        const found = asked === undefined ? undefined : functions.get(asked.action)
        if (asked === undefined || found === undefined) {
          const names = [...functions.keys()].join(', ')
          const what = asked === undefined ? '' : `has no function "${asked.action}"; `
          throw new BusError(
            'HANDLER_FAILED',
            `"${spec.name}" ${what}is asked by { action, inputs }; there are: ${names}`,
          )
        }
        const result = await found.run(...argumentsFor(asked.action, found.signature.parameters, asked.inputs))
        // Undefined would be no answer at all.
        return result === undefined ? null : result
      },
    }
  },
})

async function loadFunctions(settings: Settings, folder: string): Promise<ReadonlyMap<string, Loaded>> {
  const path = settings.text('path') as string
  const end = extname(path).toLowerCase()
  if (end === '.py') {
    throw settings.fault(
      `"${path}" is Python: swarmbus runs functions of TypeScript and JavaScript modules; Python can be a tool as an \`mcp server\``,
    )
  }
  if (!ENDS.has(end)) throw settings.fault(`"${path}" is no TypeScript or JavaScript module (${[...ENDS].join(', ')})`)
  const file = resolve(folder, path)
  const code = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw settings.fault(`"${path}" cannot be read: ${describeThrown(cause)}`)
  })
  const module = (await import(/* @vite-ignore */ pathToFileURL(file).href).catch((cause: unknown) => {
    throw settings.fault(`"${path}" cannot be loaded: ${describeThrown(cause)}`)
  })) as Readonly<Record<string, unknown>>
  const only = new Set(settings.texts('only'))
  const found = Object.entries(module).filter(
    ([name, value]) =>
      typeof value === 'function' && name !== 'default' && !isClass(value) && (only.size === 0 || only.has(name)),
  )
  const absent = [...only].filter((name) => !found.some(([one]) => one === name))
  if (absent.length > 0) throw settings.fault(`"${path}" exports no function "${absent[0]}"`)
  if (found.length === 0) throw settings.fault(`"${path}" exports no function`)
  return new Map(
    found.map(([name, value]) => {
      const run = value as (...args: unknown[]) => unknown
      const signature = signatureOf(name, code, run)
      return [name, { signature, tool: toolOf(name, signature), run }] as const
    }),
  )
}

function isClass(value: unknown): boolean {
  return /^class\b/.test(String(value))
}

/** Whoever does not name one of several functions is not understood; of one function the data are its inputs. */
function requestIn(data: unknown, functions: ReadonlyMap<string, Loaded>): ReturnType<typeof toolRequestOf> {
  const asked = toolRequestOf(data)
  if (asked !== undefined || functions.size !== 1) return asked
  const [action, { signature }] = [...functions][0] as [string, Loaded]
  const first = signature.parameters[0]
  return { action, inputs: first === undefined ? {} : { [first.fields?.[0]?.name ?? first.name]: data } }
}

/** Puts inputs by their names into the order of the parameters. Throws HANDLER_FAILED for one that is missing or that nobody knows. */
export function argumentsFor(
  name: string,
  parameters: readonly Parameter[],
  inputs: Readonly<Record<string, unknown>>,
): readonly unknown[] {
  const known = new Set(parameters.flatMap((one) => one.fields ?? [one]).map((one) => one.name))
  const strange = Object.keys(inputs).filter((one) => !known.has(one))
  const missing = parameters
    .flatMap((one) => (one.fields === undefined ? [one] : one.isRequired ? one.fields : []))
    .filter((one) => one.isRequired && inputs[one.name] === undefined)
  if (strange.length > 0 || missing.length > 0) {
    const faults = [
      ...strange.map((one) => `there is no input "${one}"`),
      ...missing.map((one) => `"${one.name}" is missing`),
    ]
    throw new BusError(
      'HANDLER_FAILED',
      `${name}: ${faults.join(', ')}; inputs are: ${[...known].join(', ') || 'none'}`,
    )
  }
  return parameters.flatMap((one): readonly unknown[] => {
    if (one.isRest) {
      const list = inputs[one.name]
      return Array.isArray(list) ? list : list === undefined ? [] : [list]
    }
    if (one.fields === undefined) return [inputs[one.name]]
    const given = one.fields.filter((field) => inputs[field.name] !== undefined)
    if (given.length === 0 && !one.isRequired) return [undefined]
    return [Object.fromEntries(given.map((field) => [field.name, inputs[field.name]]))]
  })
}
