// What a `.ww` file is once it is read: nothing is looked up and nothing is started. Spans are offsets into the text of its source.

/** From here up to there, in UTF-16 units of the text. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** A whole file. */
export interface FileNode extends Span {
  readonly type: 'file'
  /** In the order in which they stand. */
  readonly items: readonly (DeclarationNode | IncludeNode)[]
  /** Every comment, in order, without its `#`. */
  readonly comments: readonly CommentNode[]
}

/** `# …` up to the end of its line. */
export interface CommentNode extends Span {
  readonly type: 'comment'
  readonly text: string
}

/** `include "other.ww"`. */
export interface IncludeNode extends Span {
  readonly type: 'include'
  readonly path: TextNode
}

/** `name = word word { … }`. */
export interface DeclarationNode extends Span {
  readonly type: 'declaration'
  readonly name: WordNode
  /** One word or two: `claude`, `llm openai`. None when they could not be read, which was told. */
  readonly kind: readonly WordNode[]
  readonly block: BlockNode
}

/** A name, a kind or a key as it stands. */
export interface WordNode extends Span {
  readonly type: 'word'
  readonly text: string
}

/** `{ … }`. */
export interface BlockNode extends Span {
  readonly type: 'block'
  readonly entries: readonly EntryNode[]
  /** Something between the braces could not be read, which was told: what is missing here may stand there. */
  readonly broken?: true
}

/** `key: value` or `key = value`. */
export interface EntryNode extends Span {
  readonly type: 'entry'
  readonly key: WordNode | TextNode
  readonly separator: ':' | '='
  readonly value: ValueNode
}

/** What stands behind a key, or in a list. */
export type ValueNode =
  | TextNode
  | NumberNode
  | FlagNode
  | NullNode
  | VariableNode
  | NameNode
  | PathNode
  | ListNode
  | BlockNode
  | TypedNode

/** `"…"` or `'…'`. Only the first kind expands `${NAME}`. */
export interface TextNode extends Span {
  readonly type: 'text'
  readonly quote: '"' | "'"
  /** Pieces in order: escapes are resolved, variables are not. Adjacent literal pieces are one. */
  readonly parts: readonly (string | VariableNode)[]
  /** It stands between three quotes on either side, and may have several lines. */
  readonly lines?: true
  /** It is not closed, which was told: where it ends is a guess. */
  readonly broken?: true
}

export interface NumberNode extends Span {
  readonly type: 'number'
  readonly value: number
  /** As it stands in the file: `1e3`, `0x1F`. */
  readonly raw: string
}

/** `true` or `false`, in any case. */
export interface FlagNode extends Span {
  readonly type: 'flag'
  readonly value: boolean
}

/** `null` or `None`, in any case. */
export interface NullNode extends Span {
  readonly type: 'null'
}

/** `$NAME`, and `${NAME}` inside of a text. */
export interface VariableNode extends Span {
  readonly type: 'variable'
  readonly name: string
}

/** A bare word: the name of a declaration. */
export interface NameNode extends Span {
  readonly type: 'name'
  readonly text: string
}

/** A bare word that is no name but looks like a path, a url or a file name (`./x`, `../x/y.py`): text, with a warning. */
export interface PathNode extends Span {
  readonly type: 'path'
  readonly text: string
}

export interface ListNode extends Span {
  readonly type: 'list'
  readonly items: readonly ValueNode[]
  /** Something between the brackets could not be read, which was told. */
  readonly broken?: true
}

/** `redis { … }` or `memory short_term { … }` as a value: a declaration without a name. */
export interface TypedNode extends Span {
  readonly type: 'typed'
  readonly kind: readonly WordNode[]
  readonly block: BlockNode
}
