// Enough of a TextMate grammar's meaning to say which scope a character has: patterns in order, first and leftmost wins, begin/end on one stack.
// The patterns of ours are such that JavaScript and Oniguruma read them alike.

interface Rule {
  readonly name?: string
  readonly match?: string
  readonly begin?: string
  readonly end?: string
  readonly include?: string
  readonly captures?: Readonly<Record<string, { readonly name: string }>>
  readonly patterns?: readonly Rule[]
}

/** A grammar as its file has it. */
export interface TextMateGrammar {
  readonly patterns: readonly Rule[]
  readonly repository: Readonly<Record<string, Rule>>
}

/** A piece of a line with the innermost scope that it has; undefined for none. */
export interface Scoped {
  readonly text: string
  readonly scope: string | undefined
}

/** Every regular expression of a grammar. */
export function patternsOf(grammar: TextMateGrammar): readonly string[] {
  const of = (rule: Rule): readonly string[] => [
    ...[rule.match, rule.begin, rule.end].filter((one) => one !== undefined),
    ...(rule.patterns ?? []).flatMap(of),
  ]
  return [...grammar.patterns, ...Object.values(grammar.repository)].flatMap(of)
}

/** Every name of the repository that some rule includes. */
export function includesOf(grammar: TextMateGrammar): readonly string[] {
  const of = (rule: Rule): readonly string[] => [
    ...(rule.include === undefined ? [] : [rule.include.replace('#', '')]),
    ...(rule.patterns ?? []).flatMap(of),
  ]
  return [...grammar.patterns, ...Object.values(grammar.repository)].flatMap(of)
}

/** The pieces of a text that have one scope each, in order. Line ends are left out. */
export function scopesOf(grammar: TextMateGrammar, text: string): readonly Scoped[] {
  const pieces: Scoped[] = []
  const open: Rule[] = []
  const put = (piece: string, scope: string | undefined) => {
    if (piece !== '') pieces.push({ text: piece, scope })
  }
  for (const line of text.split('\n')) {
    let at = 0
    for (;;) {
      const inside = open.at(-1)
      const end = inside?.end === undefined ? undefined : find(inside.end, line, at)
      const found = flat(grammar, inside?.patterns ?? grammar.patterns)
        .flatMap((rule) => {
          const match = find(rule.match ?? rule.begin ?? '(?!)', line, at)
          return match === undefined ? [] : [{ rule, match }]
        })
        .reduce<{ rule: Rule; match: RegExpExecArray } | undefined>(
          (best, one) => (best === undefined || one.match.index < best.match.index ? one : best),
          undefined,
        )
      if (end !== undefined && (found === undefined || end.index <= found.match.index)) {
        put(line.slice(at, end.index + end[0].length), inside?.name)
        open.pop()
        at = end.index + end[0].length
        if (end[0] === '' && at >= line.length) break
        continue
      }
      if (found === undefined) break
      put(line.slice(at, found.match.index), inside?.name)
      at = found.match.index + found.match[0].length
      if (found.rule.begin !== undefined) {
        put(found.match[0], found.rule.name)
        open.push(found.rule)
      } else {
        putCaptures(found.rule, found.match, put)
        if (found.match[0] === '') break
      }
    }
    put(line.slice(at), open.at(-1)?.name)
  }
  return pieces
}

function putCaptures(rule: Rule, match: RegExpExecArray, put: (text: string, scope: string | undefined) => void): void {
  let at = match.index
  for (const [group, { name }] of Object.entries(rule.captures ?? {})) {
    const span = match.indices?.[Number(group)]
    if (span === undefined) continue
    put(match.input.slice(at, span[0]), rule.name)
    put(match.input.slice(...span), name)
    at = span[1]
  }
  put(match.input.slice(at, match.index + match[0].length), rule.name)
}

function flat(grammar: TextMateGrammar, rules: readonly Rule[]): readonly Rule[] {
  return rules.flatMap((rule) => {
    const own = rule.include === undefined ? rule : grammar.repository[rule.include.slice(1)]
    if (own === undefined) throw new Error(`there is no ${rule.include}`)
    return own.match === undefined && own.begin === undefined ? flat(grammar, own.patterns ?? []) : [own]
  })
}

function find(pattern: string, line: string, from: number): RegExpExecArray | undefined {
  const regex = new RegExp(pattern, 'dg')
  regex.lastIndex = from
  return regex.exec(line) ?? undefined
}
