import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { expect, test } from 'vitest'
import { ROOT } from '../../test/architecture/source.ts'
import { blocksOf, masked, prepare, runBlock } from '../../test/cli/docs.ts'
import { folder } from '../../test/cli/support.ts'
import { ERRORS } from '../kit/errors.ts'
import { EXIT } from './faults.ts'
import { programOf } from './program.ts'

const markdown = readFileSync(join(ROOT, 'docs/cli.md'), 'utf8')
const program = programOf(
  () => async () => undefined,
  () => 0,
)

/** Every command that does something, with the words that call it. */
function leaves(command: Command, words: readonly string[]): readonly (readonly [string, Command])[] {
  if (command.commands.length === 0) return [[words.join(' '), command]]
  return command.commands.flatMap((one) => leaves(one, [...words, one.name()]))
}

/** The part of the document below a heading, up to the next one. */
function sectionOf(heading: string): string {
  const match = new RegExp(`^#{2,3} ${heading}\n(.*?)(?=^#{2,3} |$(?![\\s\\S]))`, 'ms').exec(markdown)
  return match?.[1] ?? ''
}

function optionsIn(section: string): readonly string[] {
  return [...section.matchAll(/^\| `(-[^`]+)` \| (.*) \|$/gm)].map((match) => `${match[1]}: ${match[2]}`)
}

function optionsOf(command: Command): readonly string[] {
  return command.options.map(
    ({ flags, description, argChoices }) =>
      `${flags}: ${description}${argChoices === undefined ? '' : `: ${argChoices.join(', ')}`}`,
  )
}

const COMMANDS = leaves(program, [])

test('docs/cli.md has a section for every command, and for no other', () => {
  const sections = [...markdown.matchAll(/^#{2,3} ([a-z-]+(?: [a-z]+)?)$/gm)].map((match) => match[1])
  expect(sections.filter((name) => name !== 'dead-letters')).toEqual(COMMANDS.map(([words]) => words))
})

test.each(COMMANDS)('the section of %s has its arguments, its sentence and its options', (words, command) => {
  const section = sectionOf(words)
  const args = command.registeredArguments.map((one) => {
    const name = one.variadic ? `${one.name()}...` : one.name()
    return one.required ? ` <${name}>` : ` [${name}]`
  })
  expect(section).toContain(`\`swarmbus ${words}${args.join('')}\`: ${command.description()}.`)
  expect(optionsIn(section)).toEqual(optionsOf(command))
})

test('the options of every command, and the exit codes, are those of the program', () => {
  expect(optionsIn(sectionOf('Options of every command'))).toEqual(optionsOf(program))
  const codes = [...sectionOf('Exit codes').matchAll(/^\| (\d+) \|/gm)].map((match) => Number(match[1]))
  expect(codes).toEqual(Object.values(EXIT))
})

test('what the table of errors says to call is there', () => {
  const named = Object.values(ERRORS).flatMap(({ next }) =>
    [...next.matchAll(/`swarmbus ([a-z-]+)/g)].map((match) => match[1]),
  )
  expect(named.length).toBeGreaterThan(0)
  expect(named.filter((name) => !program.commands.some((command) => command.name() === name))).toEqual([])
})

test('every example of docs/cli.md prints what stands below it', async () => {
  const path = folder()
  prepare(path, markdown)
  for (const block of blocksOf(markdown)) {
    expect(masked(await runBlock(path, block)), `docs/cli.md:${block.line}`).toBe(masked(block.text))
  }
}, 120_000)
