// Reads a grammar in EBNF and says whether a text is one of its sentences: slowly, and without a thought for errors.

type Node =
  | { readonly type: 'literal'; readonly text: string }
  | { readonly type: 'pattern'; readonly pattern: RegExp }
  | { readonly type: 'rule'; readonly name: string }
  | { readonly type: 'sequence' | 'choice'; readonly parts: readonly Node[] }
  | { readonly type: 'optional' | 'repeated'; readonly part: Node }

/** The rules of a grammar by name. */
export type Grammar = ReadonlyMap<string, Node>

const TOKEN = /\s+|([A-Za-z_]\w*)|"([^"]*)"|\/((?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)\/|([=;|()[\]{}])/y

/** Rules `name = … ;`. Throws for what is no grammar, and for rules that are used and not there. */
export function readGrammar(text: string): Grammar {
  const tokens = tokensOf(text)
  const rules = new Map<string, Node>()
  let at = 0
  const take = (symbol: string) => {
    if (tokens[at]?.symbol !== symbol) throw new Error(`expected ${symbol}, found ${JSON.stringify(tokens[at])}`)
    at++
  }
  const choice = (): Node => {
    const parts = [sequence()]
    while (tokens[at]?.symbol === '|') {
      at++
      parts.push(sequence())
    }
    return parts.length === 1 ? parts[0]! : { type: 'choice', parts }
  }
  const sequence = (): Node => {
    const parts: Node[] = []
    for (let part = single(); part !== undefined; part = single()) parts.push(part)
    return parts.length === 1 ? parts[0]! : { type: 'sequence', parts }
  }
  const single = (): Node | undefined => {
    const token = tokens[at]
    if (token?.node !== undefined) {
      at++
      return token.node
    }
    const close = { '(': ')', '[': ']', '{': '}' }[token?.symbol ?? '']
    if (close === undefined) return undefined
    at++
    const part = choice()
    take(close)
    if (close === ')') return part
    return { type: close === ']' ? 'optional' : 'repeated', part }
  }
  while (at < tokens.length) {
    const name = tokens[at++]?.node
    if (name?.type !== 'rule') throw new Error(`expected the name of a rule before token ${at}`)
    take('=')
    rules.set(name.name, choice())
    take(';')
  }
  for (const { node } of tokens) {
    if (node?.type === 'rule' && !rules.has(node.name)) throw new Error(`there is no rule ${node.name}`)
  }
  return rules
}

/** True when the whole text is what the rule says; `between` may stand before every terminal and at the end. */
export function accepts(grammar: Grammar, rule: string, text: string, between: RegExp): boolean {
  const known = new Map<string, ReadonlySet<number>>()
  const skip = (at: number) => {
    const blank = new RegExp(between.source, 'uy')
    blank.lastIndex = at
    return at + (blank.exec(text)?.[0].length ?? 0)
  }
  /** Where what a node stands for may end when it begins here. */
  const ends = (node: Node, at: number): ReadonlySet<number> => {
    switch (node.type) {
      case 'literal': {
        const start = skip(at)
        return new Set(text.startsWith(node.text, start) ? [start + node.text.length] : [])
      }
      case 'pattern': {
        node.pattern.lastIndex = skip(at)
        return new Set(node.pattern.test(text) ? [node.pattern.lastIndex] : [])
      }
      case 'rule': {
        const key = `${node.name} ${at}`
        const before = known.get(key)
        if (before !== undefined) return before
        const found = ends(grammar.get(node.name)!, at)
        known.set(key, found)
        return found
      }
      case 'sequence':
        return node.parts.reduce<ReadonlySet<number>>(
          (from, part) => all(from, (one) => ends(part, one)),
          new Set([at]),
        )
      case 'choice':
        return all(node.parts, (part) => ends(part, at))
      case 'optional':
        return new Set([at, ...ends(node.part, at)])
      case 'repeated': {
        const reached = new Set([at])
        for (const one of reached) for (const end of ends(node.part, one)) reached.add(end)
        return reached
      }
      default:
        return node satisfies never
    }
  }
  return [...ends({ type: 'rule', name: rule }, 0)].some((end) => skip(end) === text.length)
}

function all<T>(from: Iterable<T>, each: (one: T) => Iterable<number>): ReadonlySet<number> {
  const found = new Set<number>()
  for (const one of from) for (const end of each(one)) found.add(end)
  return found
}

function tokensOf(text: string): readonly { readonly node?: Node; readonly symbol?: string }[] {
  const tokens: { readonly node?: Node; readonly symbol?: string }[] = []
  for (let at = 0; at < text.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at
    const match = TOKEN.exec(text)
    if (match === null) throw new Error(`no token of a grammar: ${text.slice(at, at + 40)}`)
    const [, name, literal, pattern, symbol] = match
    if (name !== undefined) tokens.push({ node: { type: 'rule', name } })
    else if (literal !== undefined) tokens.push({ node: { type: 'literal', text: literal } })
    else if (pattern !== undefined) tokens.push({ node: { type: 'pattern', pattern: new RegExp(pattern, 'uy') } })
    else if (symbol !== undefined) tokens.push({ symbol })
  }
  return tokens
}
