import { basename, dirname, resolve } from 'node:path'
import { type Catalog, createCatalog } from '../component/catalog.ts'
import type { KindDefinition } from '../component/kind.ts'
import { KINDS } from '../component/kinds/all.ts'
import type { ComponentSpec, Place, Setting } from '../component/spec.ts'
import { BusError } from '../kit/errors.ts'
import type { Diagnostic } from './diagnostic.ts'
import { readVariables, type Variables } from './environment.ts'
import { readUnits, textOf } from './include.ts'
import { addKinds, type LoadedScript, loadScripts } from './modules.ts'
import { renderDiagnostic } from './render.ts'
import { Report } from './report.ts'
import { type Declared, type Resolved, resolveUnits } from './resolve.ts'
import { checkRoutes, type RoutePlan } from './route-check.ts'
import type { Secrets } from './secrets.ts'
import { createSource, type Source } from './source.ts'

/** What is loaded: a file, or a text as if it stood in a folder. */
export type SwarmText =
  | string
  | {
      readonly text: string
      /** As people know it. Default `text`. */
      readonly name?: string
      /** Where includes, modules and `.env` are found. Without one there are none. */
      readonly folder?: string
    }

/** How a `.ww` file is loaded. */
export interface LoadOptions {
  /** Default: `process.env`; a `.env` file beside the main file adds what is not set. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Kinds beside those of swarmbus. */
  readonly kinds?: readonly KindDefinition[]
  /** A choice among several is an error. Default false: a warning. */
  readonly strict?: boolean
  /** Nothing is to be run: variables that are not set and kinds that cannot run are warnings, and no module is imported but kinds. Default false. */
  readonly check?: boolean
}

/** The settings of the message bus as the files have them. */
export interface BusDeclaration {
  /** `redis`, `nats` …; undefined for a url alone. */
  readonly kind: string | undefined
  readonly url: string | undefined
  readonly settings: Readonly<Record<string, Setting>>
  readonly place: Place
}

/** A swarm as its files describe it; nothing is started. */
export interface LoadedSwarm {
  /** True without errors. */
  readonly valid: boolean
  /** Errors and warnings, in the order of the files. Values of variables are masked. */
  readonly diagnostics: readonly Diagnostic[]
  readonly specs: readonly ComponentSpec[]
  readonly bus: BusDeclaration | undefined
  /** Hooks and pipes with their functions; empty when the files are only checked. */
  readonly scripts: readonly LoadedScript[]
  /** Where output goes. */
  readonly plan: RoutePlan
  readonly catalog: Catalog
  /** The files that were read, by their names. */
  readonly sources: ReadonlyMap<string, Source>
  /** Of the main file; absolute. */
  readonly folder: string
  readonly variables: Variables
  readonly secrets: Secrets
}

/**
 * Loads a `.ww` file with everything that it includes. Whatever is wrong with it is in `diagnostics`, each at its place; only options that
 * are none throw. Modules of hooks, pipes and kinds are imported; nothing is started, and the environment stays as it is.
 *
 * @example
 * const { valid, specs, diagnostics } = await loadSwarm('main.ww')
 */
export async function loadSwarm(what: SwarmText, options: LoadOptions = {}): Promise<LoadedSwarm> {
  const { environment = process.env, kinds = [], strict = false, check = false } = options
  const { main, folder, hasFolder } = mainOf(what)
  const variables = readVariables(hasFolder ? folder : undefined, environment)
  const report = new Report(check)
  const catalog = createCatalog([...KINDS, ...kinds])
  const units = readUnits(main, folder, report)
  await addKinds(units, catalog, report)
  const resolved = resolveUnits(units.units, catalog, variables, report)
  const { components } = resolved
  checkAvailable(components, report)
  const plan = checkRoutes(components, strict, report)
  const folders = new Map(units.units.map((unit) => [unit.source, unit.folder]))
  const scripts = await loadScripts(
    components,
    ({ source }) => [...new Set([folders.get(source) ?? folder, folder, process.cwd()])],
    report,
  )
  if (variables.fault !== undefined) {
    report.warning(main, { start: 0, end: 0 }, 'bad-env-file', `.env cannot be read: ${variables.fault}`)
  }
  const { secrets } = variables
  const order = new Map(units.units.map(({ source }, index) => [source.name, index]))
  const diagnostics = report.diagnostics
    .map((one) => maskedDiagnostic(one, secrets))
    .sort((a, b) => (order.get(a.file) ?? 0) - (order.get(b.file) ?? 0) || a.span.start - b.span.start)
  return Object.freeze({
    valid: !report.hasErrors,
    diagnostics,
    specs: components.map(({ spec }) => spec),
    bus: busOf(resolved),
    scripts,
    plan,
    catalog,
    sources: new Map(units.units.map(({ source }) => [source.name, source])),
    folder,
    variables,
    secrets,
  })
}

/** Throws CONFIG_INVALID with every error, as people read it, unless the swarm is valid. */
export function mustBeValid(loaded: LoadedSwarm): void {
  if (loaded.valid) return
  const errors = loaded.diagnostics.filter(({ severity }) => severity === 'error')
  const count = `${errors.length} error${errors.length === 1 ? '' : 's'}`
  const first = errors.slice(0, 5).map((one) => renderLoaded(one, loaded))
  throw new BusError('CONFIG_INVALID', `${count}\n${first.join('\n')}`, { details: { diagnostics: errors } })
}

/** A diagnostic as people read it: place, line, caret. Values of variables are masked. */
export function renderLoaded(one: Diagnostic, { sources, secrets }: LoadedSwarm, color: boolean = false): string {
  const source = sources.get(one.file) ?? createSource(one.file, '')
  return secrets.mask(renderDiagnostic(one, source, { color }))
}

function mainOf(what: SwarmText): { readonly main: Source; readonly folder: string; readonly hasFolder: boolean } {
  if (typeof what !== 'string') {
    const { text, name = 'text', folder } = what
    return { main: createSource(name, text), folder: resolve(folder ?? '.'), hasFolder: folder !== undefined }
  }
  const path = resolve(what)
  const text = textOf(path)
  if (typeof text !== 'string') {
    throw new BusError('CONFIG_INVALID', `${what} cannot be read: ${text.fault}`, { details: { file: basename(path) } })
  }
  return { main: createSource(what, text), folder: dirname(path), hasFolder: true }
}

/** What this version or machine cannot run is known, and refused before anything is started. */
function checkAvailable(components: readonly Declared[], report: Report): void {
  for (const { spec, definition, source, span } of components) {
    const { unavailable } = definition
    if (unavailable === undefined) continue
    report.here(source, span, 'unavailable-kind', `"${spec.name}" cannot run here: ${unavailable}`)
  }
}

function busOf({ bus }: Resolved): BusDeclaration | undefined {
  if (bus === undefined) return undefined
  const { source, span } = bus
  const place = { file: source.name, ...source.positionAt(span.start) }
  if ('url' in bus) return { kind: undefined, url: bus.url, settings: {}, place }
  return { kind: bus.spec.kind, url: undefined, settings: bus.spec.settings, place }
}

function maskedDiagnostic(one: Diagnostic, secrets: Secrets): Diagnostic {
  const message = secrets.mask(one.message)
  return one.hint === undefined ? { ...one, message } : { ...one, message, hint: secrets.mask(one.hint) }
}
