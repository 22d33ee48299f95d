import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Diagnostic } from '../config/diagnostic.ts'
import { type LoadedSwarm, renderLoaded } from '../config/load.ts'
import { type Call, usage } from './call.ts'
import { CliError, EXIT } from './faults.ts'
import { counted } from './text.ts'

/** The file that is meant when none is named. */
export const MAIN = 'main.ww'

/** The `.ww` file that an argument means: itself, or `main.ww` in the folder that it names. Throws a fault when there is none. */
export function wwFile(given: string | undefined): string {
  const path =
    given !== undefined && existsSync(given) && statSync(given).isDirectory() ? join(given, MAIN) : (given ?? MAIN)
  if (existsSync(path)) return path
  const next =
    given === undefined
      ? '`swarmbus init` makes one that runs, or name another file'
      : 'check the path; `swarmbus init FOLDER` makes a file that runs'
  throw new CliError(EXIT.failed, `there is no file ${path}`, next)
}

/** Throws a fault of usage when options of a log stand beside a command that has none. */
export function mustHaveNoLog({ options }: Call, command: string): void {
  const name = options.url !== undefined ? '--url' : options.file !== undefined ? '--file' : undefined
  if (name !== undefined) throw usage(`${name} names a log, and \`${command}\` looks at none`, `leave ${name} away`)
}

/** Writes diagnostics as people read them, to standard error. */
export async function showDiagnostics({ io }: Call, loaded: LoadedSwarm, list: readonly Diagnostic[]): Promise<void> {
  const color = io.stderr.isTTY && !io.env.NO_COLOR && io.env.TERM !== 'dumb'
  for (const one of list) await io.stderr.write(`${renderLoaded(one, loaded, color).trimEnd()}\n`)
}

/** `2 errors, 1 warning`; undefined when there are none. */
export function sumOf(list: readonly Diagnostic[]): string | undefined {
  const errors = list.filter(({ severity }) => severity === 'error').length
  const warnings = list.length - errors
  const parts = [
    ...(errors === 0 ? [] : [counted(errors, 'error')]),
    ...(warnings === 0 ? [] : [counted(warnings, 'warning')]),
  ]
  return parts.length === 0 ? undefined : parts.join(', ')
}

/** The fault of a file that cannot be used. */
export function invalid(file: string, list: readonly Diagnostic[]): CliError {
  const errors = list.filter(({ severity }) => severity === 'error').length
  const text = `${file} has ${counted(errors, 'error')}`
  return new CliError(EXIT.failed, text, 'mend the places above; `swarmbus check` shows them without running anything')
}
