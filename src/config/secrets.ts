const MASK = '***'
/** Shorter values stand in too many other texts: hiding `8000` or `dev` would hide half of every line. */
const LEAST_LENGTH = 4

/**
 * The values that came out of the environment, and those of secret keys. Whatever swarmbus itself says goes through `mask`, so that none of
 * them is ever shown: neither as it is, nor as JSON, in a url or as base64. What components print goes through `maskPrinted`, which hides
 * what is secret by its name: the name of a model may well stand in an answer.
 */
export class Secrets {
  readonly #all = new Set<string>()
  readonly #secret = new Set<string>()
  #patterns: { readonly all: RegExp; readonly secret: RegExp | undefined } | undefined

  /** From now on the value is hidden. Values of less than four characters are not: they say nothing. */
  add(value: string, isSecret: boolean): void {
    const text = value.trim()
    if (text.length < LEAST_LENGTH || this.#secret.has(text)) return
    if (!isSecret && this.#all.has(text)) return
    this.#all.add(text)
    if (isSecret) this.#secret.add(text)
    this.#patterns = undefined
  }

  /** The text with every value replaced by `***`. */
  mask(text: string): string {
    if (this.#all.size === 0) return text
    return text.replace(this.#compiled().all, MASK)
  }

  /** The text with the secret ones replaced. */
  maskPrinted(text: string): string {
    if (this.#secret.size === 0) return text
    return text.replace(this.#compiled().secret ?? /(?!)/, MASK)
  }

  #compiled(): { readonly all: RegExp; readonly secret: RegExp | undefined } {
    this.#patterns ??= {
      all: patternOf(this.#all),
      secret: this.#secret.size === 0 ? undefined : patternOf(this.#secret),
    }
    return this.#patterns
  }
}

function patternOf(values: Iterable<string>): RegExp {
  const forms = new Set<string>()
  for (const value of values) {
    const base64 = Buffer.from(value).toString('base64').replace(/=+$/, '')
    for (const form of [value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value), base64]) forms.add(form)
    // A value of several lines is shown line by line: each is a part of the secret.
    for (const line of value.split(/\r?\n/)) if (line.trim().length >= LEAST_LENGTH) forms.add(line.trim())
  }
  // The longest first: a value that is the beginning of another one must not leave its rest standing.
  const sorted = [...forms].sort((a, b) => b.length - a.length)
  return new RegExp(sorted.map((form) => form.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')).join('|'), 'g')
}
