import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT } from '../../../test/architecture/source.ts'
import { cortexSettings } from './cortex.ts'
import { woodworkSettings } from './woodwork.ts'

const markdown = readFileSync(join(ROOT, 'docs/settings.md'), 'utf8')

/** The settings in the first table below a heading. */
function settingsIn(heading: string): readonly string[] {
  const section = markdown.slice(markdown.indexOf(`### ${heading}\n`))
  const table = section.slice(section.indexOf('| setting |')).split('\n\n')[0] ?? ''
  return [...table.matchAll(/^\| `([a-z_]+)` \|/gm)].map((match) => match[1] ?? '').toSorted()
}

/** The settings that there are, as the refusal of another one lists them. */
function known(run: () => unknown): readonly string[] {
  try {
    run()
  } catch (error) {
    return String((error as { details: { allowed: string } }).details.allowed).split(', ')
  }
  throw new Error('it was not refused')
}

test('[W24] [C64] docs/settings.md has exactly the settings of the code', () => {
  expect(settingsIn('Woodwork')).toEqual(known(() => woodworkSettings({ other: 1 } as object, {})))
  expect(settingsIn('Cortex')).toEqual(known(() => cortexSettings({ other: 1 } as object, {})))
})
