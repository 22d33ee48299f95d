// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

/** A text for a terminal: without what would move its cursor, change its colours or turn its writing round. Lines and tabs stay. */
export function printable(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(CONTROLS, '')
}
