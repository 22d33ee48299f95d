import { isTest, type Source } from './source.ts'

const MAX_LINES = 400

/** Files of more than 400 lines; the tests beside the shipped code are not counted. */
export function sizeFaults(sources: readonly Source[]): readonly string[] {
  return sources
    .filter(({ path }) => !(path.startsWith('src/') && isTest(path)))
    .map(({ path, text }) => ({ path, lines: text.replace(/\n$/, '').split('\n').length }))
    .filter(({ lines }) => lines > MAX_LINES)
    .map(({ path, lines }) => `${path}:${MAX_LINES + 1} is too long: ${lines} lines, at most ${MAX_LINES}; split it`)
}
