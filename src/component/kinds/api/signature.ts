import { closing, skipped, splitAt } from './scan.ts'

/** One parameter of a function. */
export interface Parameter {
  /** The name of its input; of `{ a, b }` one for each. */
  readonly name: string
  readonly type: string | undefined
  /** The default as it stands in the code. */
  readonly initial: string | undefined
  readonly isRequired: boolean
  /** `...rest`: takes a list. */
  readonly isRest: boolean
  /** Names inside of `{ … }`: the function gets one object with them. */
  readonly fields: readonly Parameter[] | undefined
}

/** What a function says of itself. */
export interface Signature {
  readonly summary: string
  readonly parameters: readonly Parameter[]
  /** Texts of `@param`, by name. */
  readonly notes: Readonly<Record<string, string>>
}

/**
 * The signature of an exported function, from the code of its module, where types and comments still stand, else from the function itself.
 */
export function signatureOf(name: string, code: string, run: (...args: never[]) => unknown): Signature {
  const found = declarationOf(name, code)
  if (found !== undefined) return { parameters: parametersIn(found.parameters), ...commentBefore(code, found.start) }
  return { summary: '', notes: {}, parameters: parametersIn(parametersText(String(run))) }
}

/** Finds `export function name(`, `function name(` or `const name = (`. */
function declarationOf(
  name: string,
  code: string,
): { readonly start: number; readonly parameters: string } | undefined {
  const safe = name.replace(/\$/g, '\\$')
  const patterns = [
    new RegExp(`(?:export\\s+)?(?:async\\s+)?function\\s*\\*?\\s*${safe}\\s*(?:<[^(]*>)?\\s*\\(`, 'g'),
    new RegExp(
      `(?:export\\s+)?(?:const|let|var)\\s+${safe}\\s*(?::[^=]*)?=\\s*(?:async\\s*)?(?:function\\s*\\w*\\s*)?(?:<[^(]*>)?\\(`,
      'g',
    ),
  ]
  for (const pattern of patterns) {
    for (const match of code.matchAll(pattern)) {
      if (isInside(code, match.index)) continue
      const open = match.index + match[0].length - 1
      return { start: match.index, parameters: code.slice(open + 1, closing(code, open)) }
    }
  }
  return undefined
}

/** True for what stands in a text or comment. */
function isInside(code: string, offset: number): boolean {
  for (let index = 0; index < offset; ) {
    const next = skipped(code, index)
    if (next > offset) return true
    index = Math.max(next, index + 1)
  }
  return false
}

/** The parameters in the text of a function: `(a, b) => …`, `async x => …`, `function f(a) …`, `f(a) { … }`. */
function parametersText(text: string): string {
  const single = /^(?:async\s+)?([\w$]+)\s*=>/.exec(text)
  if (single !== null) return single[1] as string
  const open = text.indexOf('(')
  return open < 0 ? '' : text.slice(open + 1, closing(text, open))
}

function parametersIn(text: string): readonly Parameter[] {
  return splitAt(text, ',')
    .map((part) => withoutComments(part).trim())
    .filter((part) => part !== '')
    .map((part, index) => parameterOf(part, index))
}

function parameterOf(part: string, index: number): Parameter {
  const [head = '', ...rest] = splitAt(part, '=')
  const initial = rest.length === 0 ? undefined : rest.join('=').trim()
  const isRest = head.startsWith('...')
  const target = isRest ? head.slice(3).trim() : head.trim()
  if (target.startsWith('{')) return objectParameter(target, initial, index)
  const [named = '', ...typed] = splitAt(target, ':')
  const isOptional = named.trim().endsWith('?')
  return {
    name: named.trim().replace(/\?$/, '') || `input${index + 1}`,
    type: typed.length === 0 ? undefined : typed.join(':').trim(),
    initial,
    isRequired: !isOptional && !isRest && initial === undefined,
    isRest,
    fields: undefined,
  }
}

/** `{ a, b: other = 2, ...rest }: { a: string; b?: number }`. */
function objectParameter(target: string, initial: string | undefined, index: number): Parameter {
  const end = closing(target, 0)
  const typeText = target
    .slice(end + 1)
    .replace(/^\s*:/, '')
    .trim()
  const types = typeText.startsWith('{')
    ? fieldTypes(typeText.slice(1, closing(typeText, 0)))
    : new Map<string, FieldType>()
  const fields = splitAt(target.slice(1, end), ',')
    .map((part) => withoutComments(part).trim())
    .filter((part) => part !== '' && !part.startsWith('...'))
    .map((part): Parameter => {
      const [head = '', ...rest] = splitAt(part, '=')
      const name = (splitAt(head, ':')[0] ?? '').trim()
      const type = types.get(name)
      const own = rest.length === 0 ? undefined : rest.join('=').trim()
      return {
        name,
        type: type?.type,
        initial: own,
        isRequired: own === undefined && type?.isOptional !== true,
        isRest: false,
        fields: undefined,
      }
    })
  return {
    name: `input${index + 1}`,
    type: undefined,
    initial,
    isRequired: initial === undefined,
    isRest: false,
    fields,
  }
}

interface FieldType {
  readonly type: string
  readonly isOptional: boolean
}

function fieldTypes(text: string): ReadonlyMap<string, FieldType> {
  const found = new Map<string, FieldType>()
  for (const line of splitAt(text, ';')
    .flatMap((one) => splitAt(one, ','))
    .flatMap((one) => splitAt(one, '\n'))) {
    const [name = '', ...type] = splitAt(withoutComments(line).trim(), ':')
    if (type.length > 0)
      found.set(
        name
          .trim()
          .replace(/^readonly\s+/, '')
          .replace(/\?$/, ''),
        { type: type.join(':').trim(), isOptional: name.trim().endsWith('?') },
      )
  }
  return found
}

function withoutComments(text: string): string {
  let kept = ''
  for (let index = 0; index < text.length; ) {
    const next = skipped(text, index)
    if (next > index && text[index] === '/') kept += ' '
    else kept += text.slice(index, Math.max(next, index + 1))
    index = Math.max(next, index + 1)
  }
  return kept
}

/** The doc comment that ends right before a declaration. */
function commentBefore(code: string, start: number): Pick<Signature, 'summary' | 'notes'> {
  const before = code.slice(0, start).trimEnd()
  const open = before.lastIndexOf('/**')
  if (!before.endsWith('*/') || open < 0) return { summary: '', notes: {} }
  const lines = before
    .slice(open + 3, -2)
    .split('\n')
    .map((line) => line.replace(/^\s*\*?\s?/, '').trimEnd())
  const notes: Record<string, string> = {}
  const summary: string[] = []
  let tag: string | undefined
  for (const line of lines) {
    const param = /^@param\s+(?:\{[^}]*\}\s*)?\[?([\w$.]+)[^\s\]]*\]?\s*-?\s*(.*)$/.exec(line.trim())
    if (param !== null) {
      tag = param[1] as string
      notes[tag] = param[2] ?? ''
    } else if (line.trim().startsWith('@')) tag = ''
    else if (tag === undefined) summary.push(line.trim())
    else if (tag !== '') notes[tag] = `${notes[tag] as string} ${line.trim()}`.trim()
  }
  return { summary: summary.join(' ').trim(), notes }
}
