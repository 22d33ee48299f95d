/** Something that is wrong in the file of a log. */
export interface Finding {
  readonly type: 'database' | 'entry' | 'missing' | 'stream' | 'group' | 'mark'
  /** A sentence that names the place. */
  readonly text: string
  readonly stream?: string
  /** First and last offset it is about. */
  readonly from?: number
  readonly to?: number
  /** True when the loss was recorded as a gap already. */
  readonly known: boolean
}

/** What an inspection found in one stream. */
export interface StreamReport {
  readonly stream: string
  readonly first: number
  readonly next: number
  /** Entries that are there and fit their checksums. */
  readonly good: number
  readonly bytes: number
  readonly groups: readonly { readonly group: string; readonly position: number; readonly open: number }[]
}

/** What `inspectFile` says of the file of a log. */
export interface Report {
  readonly file: string
  /** No finding that is not a known loss. */
  readonly ok: boolean
  readonly version: number
  /** The last holder closed it in order. */
  readonly clean: boolean
  readonly streams: readonly StreamReport[]
  readonly entries: number
  readonly bytes: number
  readonly findings: readonly Finding[]
  /** What was changed to accept the losses, a sentence each. */
  readonly repairs: readonly string[]
}
