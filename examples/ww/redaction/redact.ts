// A pipe and a hook of main.ww.

const CARD = /\b(?:\d[ -]?){13,19}\b/g
const ADDRESS = /[\w.+-]+@[\w-]+\.[\w.]+/g

/** Takes card numbers and e-mail addresses out of everything that a person typed. What it returns goes on in place of the input. */
export function redact(payload: { readonly input: string }): { readonly input: string } {
  const input = payload.input.replace(CARD, '[card]').replace(ADDRESS, '[address]')
  return { ...payload, input }
}

/** A hook only looks on: it gets a copy, and what it returns counts for nothing. */
export function report(payload: unknown): void {
  const found = JSON.stringify(payload).match(/\[(?:card|address)\]/g) ?? []
  if (found.length > 0) process.stderr.write(`redacted: ${found.length}\n`)
}
