import { execFile } from 'node:child_process'

const STRIP = `import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
const [, path] = process.argv
stripTypeScriptTypes(readFileSync(path, 'utf8'), { sourceUrl: path })`

/**
 * What is wrong with the syntax of a module, as Node tells it: file, line, caret, message. Undefined when nothing is. The module is not run:
 * what it does when it is imported is the business of the one swarm that runs.
 */
export function syntaxFault(path: string, signal: AbortSignal): Promise<string | undefined> {
  const args = /\.[cm]?ts$/.test(path)
    ? ['--no-warnings', '--input-type=module', '--eval', STRIP, path]
    : ['--check', path]
  return new Promise((resolve) => {
    execFile(process.execPath, args, { signal }, (error, _out, told) => {
      if (error === null || !/^SyntaxError\b/m.test(told)) resolve(undefined)
      else resolve(placeIn(told, path))
    })
  })
}

/** Without where in Node it was found. */
function placeIn(told: string, path: string): string {
  const lines = told.split('\n').filter((line) => line.trim() !== '')
  const first = lines.findIndex((line) => line.startsWith(`${path}:`))
  const last = lines.findIndex((line) => line.startsWith('SyntaxError'))
  return lines.slice(Math.max(0, first), last + 1).join('\n')
}
