import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Terminal } from '../../src/component/kind.ts'
import { type LoadedSwarm, type LoadOptions, loadSwarm } from '../../src/config/load.ts'

/** A folder with files that goes with the test; its path. */
export function project(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'swarmbus-ww-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  return folder
}

/** Loads a text without a folder and without an environment. */
export function load(text: string, options: LoadOptions = {}): Promise<LoadedSwarm> {
  return loadSwarm({ text, name: 'main.ww' }, { environment: {}, ...options })
}

/** Loads `main.ww` of a folder. */
export function loadIn(folder: string, options: LoadOptions = {}): Promise<LoadedSwarm> {
  return loadSwarm(join(folder, 'main.ww'), { environment: {}, ...options })
}

/** What was found: `code line:column message`. */
export function told({ diagnostics }: LoadedSwarm): readonly string[] {
  return diagnostics.map(({ code, line, column, message }) => `${code} ${line}:${column} ${message}`)
}

/** The errors alone, as `code line:column`. */
export function errors({ diagnostics }: LoadedSwarm): readonly string[] {
  return diagnostics
    .filter(({ severity }) => severity === 'error')
    .map(({ code, line, column }) => `${code} ${line}:${column}`)
}

/** A terminal with lines, which keeps what is printed. */
export interface TestTerminal extends Terminal {
  printed(): string
}

/** A terminal that gives these lines, and then ends. */
export function terminalWith(...lines: readonly string[]): TestTerminal {
  let text = ''
  return {
    interactive: false,
    async *lines() {
      yield* lines
    },
    write(part) {
      text += part
    },
    printed: () => text,
  }
}
