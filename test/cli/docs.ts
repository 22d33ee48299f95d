import { execFile } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../architecture/source.ts'

/** One block of commands in a document. */
export interface Block {
  readonly line: number
  readonly text: string
}

/** The blocks that show commands and their output; those that need a server are marked: `console redis`. */
export function blocksOf(markdown: string, mark: string = ''): readonly Block[] {
  return [...markdown.matchAll(new RegExp(`^\`\`\`console${mark}\\n(.*?)^\`\`\`$`, 'gms'))].map((match) => ({
    line: markdown.slice(0, match.index).split('\n').length,
    text: match[1] ?? '',
  }))
}

/** Writes the files that a document shows (` ```js NAME `), and the program as `swarmbus`, into a folder. */
export function prepare(folder: string, markdown: string): void {
  for (const match of markdown.matchAll(/^```js (\S+)\n(.*?)^```$/gms)) {
    // The folder lies outside of the package, so its name is not known there.
    const text = (match[2] ?? '').replace("'swarmbus'", `'${new URL('../../src/index.ts', import.meta.url)}'`)
    writeFileSync(join(folder, match[1] ?? ''), text)
  }
  const shim = join(folder, 'swarmbus')
  writeFileSync(shim, `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'bin/swarmbus.mjs')}' "$@"\n`)
  chmodSync(shim, 0o700)
}

/** Runs the commands of a block in a folder, and gives the block back as it should be. */
export async function runBlock(folder: string, { text }: Block): Promise<string> {
  let done = ''
  for (const line of text.split('\n').filter((one) => one.startsWith('$ '))) {
    done += `${line}\n${await shell(folder, line.slice(2))}`
  }
  return done
}

function shell(cwd: string, command: string): Promise<string> {
  const PATH = `${cwd}:${join(process.execPath, '..')}:${process.env.PATH}`
  return new Promise((resolve) => {
    execFile(
      'sh',
      ['-c', `{ ${command}; } 2>&1`],
      { cwd, env: { PATH, TZ: 'UTC', SWARMBUS_URL: 'sqlite:swarm.db' } },
      (_error, out) => {
        resolve(out.replaceAll(`${cwd}/`, ''))
      },
    )
  })
}

/** The text without what differs from run to run: times, ids, spans, sizes, processes. */
export function masked(text: string): string {
  return (
    text
      .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z?/g, 'TIME')
      .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'ID')
      .replace(/"time": ?\d+/g, '"time":0')
      .replace(/\bin \d[\d.]* m?s\b/g, 'in SPAN')
      .replace(/[\d.]+ (B|KiB|MiB)\b/g, 'SIZE')
      .replace(/process \d+/g, 'process N')
      // Columns are as wide as what stands in them.
      .replace(/ {2,}/g, '  ')
  )
}
