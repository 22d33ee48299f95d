const MASK = '***'
/** Shorter values stand in too many other texts: hiding `8000` or `dev` would hide half of every line. */
const LEAST_LENGTH = 4

/**
 * The values that came out of the environment. Whatever swarmbus itself says goes through `mask`, so that none of them is ever shown:
 * neither as it is, nor as JSON, in a url or as base64.
 */
export class Secrets {
  readonly #values = new Set<string>()
  #pattern: RegExp | undefined

  /** From now on the value is hidden. Values of less than four characters are not: they say nothing. */
  add(value: string): void {
    const text = value.trim()
    if (text.length < LEAST_LENGTH || this.#values.has(text)) return
    this.#values.add(text)
    this.#pattern = undefined
  }

  /** The text with every value replaced by `***`. */
  mask(text: string): string {
    if (this.#values.size === 0) return text
    this.#pattern ??= patternOf(this.#values)
    return text.replace(this.#pattern, MASK)
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
