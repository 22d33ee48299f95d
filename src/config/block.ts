import type { KeyRule, KindDefinition } from '../component/kind.ts'
import { nearest } from '../component/nearest.ts'
import type { Role } from '../component/role.ts'
import { Reference, type Setting } from '../component/spec.ts'
import type { BlockNode, EntryNode, Span, ValueNode } from './ast.ts'
import { keyOf } from './duplicates.ts'
import { fitted } from './keys.ts'
import { type PlacedScript, scriptsOf } from './scripts.ts'
import { keySetting, reportUnknown, settingOf, type ValueContext } from './setting.ts'
import { TARGET_KEYS, targetsOf } from './targets.ts'

/** What a block says. */
export interface Taken {
  readonly settings: Readonly<Record<string, Setting>>
  /** The word of the key `role`. */
  readonly role: string | undefined
  readonly to: readonly string[] | undefined
  /** Targets that close a loop on purpose. */
  readonly feedback: readonly string[] | undefined
  /** Further events that go to the targets. */
  readonly routes: readonly string[] | undefined
  readonly hooks: readonly PlacedScript[]
  readonly pipes: readonly PlacedScript[]
}

/** What whoever takes a block wants to hear of it. */
export interface TakeEvents {
  /** Another component is named, outside of `to`. */
  refer(name: string, key: string, span: Span): void
  roleOf(name: string): Role | undefined
  isBus(name: string): boolean
  /** The url of a message bus stands in place of its block. */
  bus(url: string, span: Span): void
}

const TO: readonly string[] = TARGET_KEYS
const ROUTES: KeyRule = { type: 'texts', summary: 'names of events that go to the targets, too' }
/** What every component may have, whatever its kind. */
const COMMON: readonly string[] = [...TO, 'feedback', 'routes', 'hooks', 'pipes']

/** The entry of a key, as it stands in the file. */
export function entryOf(block: BlockNode, key: string): EntryNode | undefined {
  return block.entries.find((entry) => (entry.key.type === 'word' ? entry.key.text : entry.key.parts.join('')) === key)
}

/**
 * Reads the entries of a component by the rules of its kind; `span` is where it is told that something is missing. `isShort`: its kind is one
 * word.
 */
export function takeEntries(
  block: BlockNode,
  span: Span,
  definition: KindDefinition,
  isShort: boolean,
  context: ValueContext,
  events: TakeEvents,
): Taken {
  const { report, source } = context
  const settings = new Map<string, Setting>()
  const targets = new Map<string, readonly string[]>()
  const scripts = { hooks: [] as readonly PlacedScript[], pipes: [] as readonly PlacedScript[] }
  const given = new Set<string>()
  let feedback: readonly string[] | undefined
  let routes: readonly string[] | undefined
  for (const entry of block.entries) {
    const key = keySetting(entry.key, context)
    given.add(key)
    if (TO.includes(key)) targets.set(key, targetsOf(entry.value, context))
    else if (key === 'hooks' || key === 'pipes') scripts[key] = scriptsOf(key, entry.value, context)
    else if (key === 'feedback') feedback = targetsOf(entry.value, context)
    else if (key === 'routes' && definition.keys.routes === undefined) routes = routesOf(entry, context)
    else if (key === 'message_bus' && entry.value.type !== 'name') takeBus(entry, context, events)
    else {
      const value = takeValue(key, entry, definition, context, events)
      if (value !== undefined) settings.set(key, value)
    }
  }
  const unknown = unknownIn(block, definition)
  for (const [key, rule] of Object.entries(definition.keys)) {
    const value = settings.get(key)
    if (rule.required === undefined || rule.required === false || (value !== undefined && value !== null)) continue
    if (rule.unless !== undefined && given.has(rule.unless)) continue
    // Wrong, and told: then it is not missing as well.
    if (value === undefined && given.has(key)) continue
    const filled = filledFrom(rule, context)
    if (filled !== undefined) settings.set(key, filled)
    else {
      // It may be what could not be read.
      if (block.broken === true) continue
      // `modle` is a slip, and no key too many and one too few.
      const slip = unknown.find((one) => one.near === key)
      unknown.splice(slip === undefined ? unknown.length : unknown.indexOf(slip), 1)
      missing(key, rule, slip ?? { at: entryOf(block, key)?.value ?? span }, definition, isShort, context)
    }
  }
  for (const one of unknown) {
    const hint =
      one.near === undefined ? `it has ${Object.keys(definition.keys).join(', ')}` : `did you mean "${one.near}"?`
    report.warning(source, one.at, 'unknown-key', `"${definition.kind}" knows no key "${one.key}"`, hint)
  }
  const cannot = definition.cannotRun?.(
    (one) => given.has(one),
    (one) => {
      const text = settings.get(one)
      return typeof text === 'string' ? text : undefined
    },
  )
  if (cannot !== undefined) {
    context.report.here(context.source, span, 'unavailable-kind', `"${definition.kind}" cannot run so: ${cannot}`)
  }
  const key = TO.find((one) => targets.has(one))
  const role = settings.get('role')
  settings.delete('role')
  return {
    settings: Object.fromEntries(settings),
    role: typeof role === 'string' ? role : undefined,
    // What closes a loop is a target as well.
    to: key === undefined ? undefined : [...new Set([...(targets.get(key) ?? []), ...(feedback ?? [])])],
    feedback,
    routes,
    ...scripts,
  }
}

function routesOf(entry: EntryNode, context: ValueContext): readonly string[] | undefined {
  const value = settingOf(entry.value, 'routes', context)
  if (value === undefined || value === null) return undefined
  const fit = fitted(value, ROUTES, false)
  if ('value' in fit) return (Array.isArray(fit.value) ? fit.value : [fit.value]) as readonly string[]
  context.report.error(context.source, entry.value, 'wrong-type', `"routes" ${fit.fault}`, ROUTES.summary)
  return undefined
}

/** A block with the kind of a bus becomes the bus by itself; a text is its url. */
function takeBus(entry: EntryNode, context: ValueContext, events: TakeEvents): void {
  const value = settingOf(entry.value, 'message_bus', context)
  if (value === undefined || value === null || value instanceof Reference) return
  if (typeof value === 'string') events.bus(value, entry.value)
  else context.report.error(context.source, entry.value, 'wrong-type', 'a message bus is a block with a kind, or a url')
}

function takeValue(
  key: string,
  entry: EntryNode,
  definition: KindDefinition,
  context: ValueContext,
  events: TakeEvents,
): Setting | undefined {
  const { report, source } = context
  const rule = Object.hasOwn(definition.keys, key) ? definition.keys[key] : undefined
  const own: ValueContext = { ...context, referred: (name, span) => events.refer(name, key, span) }
  // What a bare word means is decided by the key: `role: input` names no component.
  const word = entry.value.type === 'name' ? entry.value.text : undefined
  if (rule?.type === 'flag' && word !== undefined && /^(?:yes|no|on|off)$/i.test(word) && !context.names.has(word)) {
    report.error(source, entry.value, 'wrong-type', `"${key}" must be true or false, found ${word}`, rule.summary)
    return undefined
  }
  const isWord = word !== undefined && rule?.allowed?.includes(word) === true
  const read = isWord ? word : settingOf(entry.value, key, own)
  if (read === undefined || isBroken(entry.value)) return undefined
  if (read instanceof Reference && events.isBus(read.name)) return undefined
  if (rule === undefined) return read
  const named = namedBy(rule, read, entry.value, own)
  if (named === undefined) return undefined
  // Null says that a key is not given.
  if (named === null) return null
  const fit = fitted(named, rule, isOfVariable(entry.value))
  if ('fault' in fit) {
    report.error(source, entry.value, 'wrong-type', `"${key}" ${fit.fault}`, rule.summary)
    return undefined
  }
  // An address that holds no password is none.
  if (rule.secret === true && typeof fit.value === 'string' && !/^[a-z+]+:\/\/[^@]*$/i.test(fit.value)) {
    own.variables.secrets.add(fit.value, true)
  }
  checkRoles(key, rule, fit.value, entry.value, own, events)
  if (rule.noEffect !== undefined && fit.value !== (rule.default ?? false)) {
    report.warning(source, entry.key, 'no-effect', `"${key}" has no effect: ${rule.noEffect}`)
  }
  return fit.value
}

/** True for what could not be read as a whole, which was told: what it lacks is no second fault. */
function isBroken(node: ValueNode): boolean {
  return (node.type === 'block' || node.type === 'list' || node.type === 'text') && node.broken === true
}

/** A key that the kind does not know. */
interface UnknownKey {
  readonly key: string
  readonly at: Span
  /** The key that it is like. */
  readonly near: string | undefined
}

function unknownIn(block: BlockNode, { keys, anyKeys }: KindDefinition): UnknownKey[] {
  if (anyKeys === true) return []
  const known = [...Object.keys(keys), ...COMMON]
  return block.entries.flatMap((entry) => {
    const key = keyOf(entry)
    const isBus = key === 'message_bus' && entry.value.type !== 'name'
    return key === undefined || isBus || known.includes(key) ? [] : [{ key, at: entry.key, near: nearest(key, known) }]
  })
}

/** Quoted names are references where names are wanted. */
function namedBy(rule: KeyRule, value: Setting, node: ValueNode, context: ValueContext): Setting | undefined {
  if (rule.type !== 'reference' && rule.type !== 'references') return value
  const one = (item: Setting, at: ValueNode): Setting | undefined => {
    if (typeof item !== 'string') return item
    if (isBroken(at)) return undefined
    if (context.names.has(item)) {
      context.referred?.(item, at)
      return new Reference(item)
    }
    if (at.type === 'path' || (at.type === 'text' && at.parts.every((part) => typeof part === 'string'))) {
      reportUnknown(item, at, context, 'the name of a declaration is wanted here')
    } else context.report.error(context.source, at, 'unknown-name', 'nothing is declared with this name')
    return undefined
  }
  if (!Array.isArray(value)) return one(value, node)
  const nodes = node.type === 'list' && node.items.length === value.length ? node.items : []
  const items = (value as readonly Setting[]).map((item, index) => one(item, nodes[index] ?? node))
  return items.filter((item) => item !== undefined)
}

function isOfVariable(node: ValueNode): boolean {
  return node.type === 'variable' || (node.type === 'text' && node.parts.some((part) => typeof part !== 'string'))
}

function checkRoles(
  key: string,
  { roles }: KeyRule,
  value: Setting,
  node: ValueNode,
  { report, source }: ValueContext,
  events: TakeEvents,
): void {
  if (roles === undefined) return
  const items: readonly Setting[] = Array.isArray(value) ? value : [value]
  const nodes = node.type === 'list' && node.items.length === items.length ? node.items : []
  for (const [index, item] of items.entries()) {
    if (!(item instanceof Reference)) continue
    const role = events.roleOf(item.name)
    if (role === undefined || roles.includes(role)) continue
    const text = `"${key}" wants ${roles.join(' or ')}, and "${item.name}" is ${role}`
    report.error(source, nodes[index] ?? node, 'wrong-role', text)
  }
}

/** What the environment says in place of a key. */
function filledFrom({ required, type, ...rest }: KeyRule, { variables }: ValueContext): Setting | undefined {
  if (typeof required !== 'string') return undefined
  const value = variables.value(required)
  if (value === undefined || value === '') return undefined
  const fit = fitted(value, { type, ...rest }, true)
  return 'fault' in fit ? undefined : fit.value
}

function missing(
  key: string,
  { required, summary }: KeyRule,
  { at, key: slip }: { readonly at: Span; readonly key?: string },
  { kind }: KindDefinition,
  isShort: boolean,
  { report, source }: ValueContext,
): void {
  const other = typeof required === 'string' ? `, or the variable ${required}` : ''
  const found = slip === undefined ? '' : `, found "${slip}"`
  const text = `"${kind}" needs the key "${key}"${other}${found}`
  const hint = slip === undefined ? summary : `did you mean "${key}"?`
  // A kind of one word takes it from the environment, as a rule: another machine may set it.
  if (isShort && typeof required === 'string') report.here(source, at, 'missing-key', text, hint)
  else report.error(source, at, 'missing-key', text, hint)
}
