import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'
import { EVENTS } from '../../src/index.ts'
import { ROOT, run } from './run.ts'

interface Block {
  readonly at: string
  readonly code: string
  readonly output: string
}

/** The blocks of a document that are to be run, each with the output that stands below it. */
function blocksOf(path: string): readonly Block[] {
  const text = readFileSync(join(ROOT, path), 'utf8')
  return [...text.matchAll(/^```ts run\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?/gms)].map((match) => {
    const line = text.slice(0, match.index).split('\n').length
    return { at: `${path}:${line}`, code: match[1] ?? '', output: match[2] ?? '' }
  })
}

/** The documents, from the repository's root. */
function documents(): readonly string[] {
  const under = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
  return [
    'README.md',
    'CHANGELOG.md',
    ...under.filter((name) => name.endsWith('.md')).map((name) => join('docs', name)),
  ]
}

describe('the documents', () => {
  const blocks = ['README.md', 'docs/guide.md', 'docs/components.md'].flatMap(blocksOf)

  test.each(blocks.map((block) => [block.at, block] as const))(
    'the block at %s runs and prints what stands below it',
    async (_at, block) => {
      const { code, out, err } = await run(['--input-type=module-typescript', '--eval', block.code])
      expect(err).toBe('')
      expect(out).toBe(block.output)
      expect(code).toBe(0)
    },
  )

  test('every link inside the repository leads somewhere', () => {
    const broken = documents().flatMap((path) => {
      // What stands in a block of code is shown as it is: `](` in a regular expression is no link.
      const prose = readFileSync(join(ROOT, path), 'utf8').replace(/^```.*?^```$/gms, '')
      const links = [...prose.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)]
      return links
        .map((match) => normalize(join(dirname(path), match[1] ?? '')))
        .filter((target) => !existsSync(join(ROOT, target)))
        .map((target) => `${path} → ${target}`)
    })
    expect(broken).toEqual([])
  })

  test('the guide lists exactly the announcements of the code', () => {
    const guide = readFileSync(join(ROOT, 'docs/guide.md'), 'utf8')
    const listed = [...guide.matchAll(/^\| `([a-z-]+\.[a-z]+)` \|/gm)].map((match) => match[1])
    expect(listed).toEqual([...EVENTS])
  })

  test('the architecture names exactly the files of src/', () => {
    const text = readFileSync(join(ROOT, 'docs/ARCHITECTURE.md'), 'utf8')
    const named = [...text.matchAll(/^\| `(src\/[^`]+\.ts)` \|/gm)].map((match) => match[1])
    const real = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !/\.test(-d)?\.ts$/.test(name))
      .map((name) => `src/${name}`)
    expect(named.toSorted()).toEqual(real.toSorted())
  })

  test('the README names the doors of the package', () => {
    const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      exports: Record<string, unknown>
    }
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
    const doors = Object.keys(exports).filter((door) => door !== './package.json')
    expect(doors.filter((door) => !readme.includes(`swarmbus${door.slice(1)}`))).toEqual([])
  })
})
