import { existsSync, readFileSync, statSync } from 'node:fs'
import { extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Catalog } from '../component/catalog.ts'
import type { EventFunction } from '../component/component.ts'
import type { KindDefinition } from '../component/kind.ts'
import { nearest } from '../component/nearest.ts'
import type { ScriptSpec } from '../component/spec.ts'
import { describeThrown } from '../kit/errors.ts'
import type { Units } from './include.ts'
import type { Report } from './report.ts'
import type { Declared } from './resolve.ts'
import type { PlacedScript } from './scripts.ts'

/** A hook or a pipe with the function that it names. */
export interface LoadedScript {
  readonly component: string
  /** As it stands in the settings of the component. */
  readonly spec: ScriptSpec
  readonly run: EventFunction
}

/** What a module may end in; without one of these, they are tried in this order. */
const ENDS = ['.ts', '.mts', '.js', '.mjs'] as const

/** Adds the kinds of modules that files include: every export that is a kind, or a list of kinds. */
export async function addKinds({ modules }: Units, catalog: Catalog, report: Report): Promise<void> {
  for (const { url, source, node } of modules) {
    try {
      const found = Object.values((await import(url)) as Record<string, unknown>)
        .flat()
        .filter(isKind)
      if (found.length === 0) report.error(source, node.path, 'no-kinds', 'the module exports no kind of component')
      for (const one of found) catalog.add(one)
    } catch (error) {
      report.error(source, node.path, 'bad-module', `the module cannot be used: ${describeThrown(error)}`)
    }
  }
}

function isKind(value: unknown): value is KindDefinition {
  const { kind, role, keys } = (value ?? {}) as Partial<KindDefinition>
  return typeof kind === 'string' && typeof role === 'string' && typeof keys === 'object' && keys !== null
}

/**
 * The functions of hooks and pipes. A module is looked for beside the file that names it, then beside the main file, then in the working
 * folder. Who only checks runs no module: the function's name must stand in its text.
 */
export async function loadScripts(
  components: readonly Declared[],
  foldersOf: (script: PlacedScript) => readonly string[],
  report: Report,
): Promise<readonly LoadedScript[]> {
  const loaded: LoadedScript[] = []
  for (const { spec, scripts } of components) {
    for (const script of scripts) {
      const path = findModule(script.spec.script, foldersOf(script))
      if (path === undefined) missingFile(script, report)
      else if (extname(path) === '.py') {
        const text = `"${script.spec.script}" is Python, which does not run here`
        report.here(script.source, script.scriptNode, 'python-module', text, 'write it as a module in .ts, .js or .mjs')
      } else if (report.onlyChecks) checkText(path, script, report)
      else {
        const run = await functionOf(path, script, report)
        if (run !== undefined) loaded.push({ component: spec.name, spec: script.spec, run })
      }
    }
  }
  return loaded
}

/** The file of a module, found in the first folder that has it. */
function findModule(name: string, folders: readonly string[]): string | undefined {
  const ends = extname(name) === '' ? ENDS : ['']
  for (const folder of folders) {
    for (const end of ends) {
      const path = resolve(folder, `${name}${end}`)
      if (existsSync(path) && statSync(path).isFile()) return path
    }
  }
  return undefined
}

function missingFile({ spec, source, scriptNode }: PlacedScript, report: Report): void {
  report.error(
    source,
    scriptNode,
    'missing-module',
    `there is no module "${spec.script}"`,
    'it is looked for beside the file',
  )
}

function checkText(path: string, { spec, source, functionNode }: PlacedScript, report: Report): void {
  if (readFileSync(path, 'utf8').includes(spec.function)) return
  report.error(source, functionNode, 'missing-function', `"${spec.script}" has no function "${spec.function}"`)
}

async function functionOf(
  path: string,
  { spec, source, scriptNode, functionNode }: PlacedScript,
  report: Report,
): Promise<EventFunction | undefined> {
  let exports: Record<string, unknown>
  try {
    exports = (await import(pathToFileURL(path).href)) as Record<string, unknown>
  } catch (error) {
    report.error(source, scriptNode, 'bad-module', `"${spec.script}" cannot be used: ${describeThrown(error)}`)
    return undefined
  }
  const found = Object.hasOwn(exports, spec.function) ? exports[spec.function] : undefined
  if (typeof found === 'function') return found as EventFunction
  const near = nearest(spec.function, Object.keys(exports))
  const hint = near === undefined ? 'the module must export it' : `did you mean "${near}"?`
  report.error(
    source,
    functionNode,
    'missing-function',
    `"${spec.script}" exports no function "${spec.function}"`,
    hint,
  )
  return undefined
}
