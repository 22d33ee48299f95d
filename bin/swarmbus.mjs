#!/usr/bin/env node
// `swarmbus`: the source in a clone, so that it is never older than the code, and dist/ in the installed package. Begins on any Node
// from 18 on, to say which one it needs instead of failing somewhere inside.
import { existsSync, readFileSync } from 'node:fs'
import module from 'node:module'
import { fileURLToPath } from 'node:url'
import { satisfies } from '../scripts/engine.mjs'

const at = (/** @type {string} */ path) => new URL(`../${path}`, import.meta.url)
const main = ['src/cli/main.ts', 'dist/cli/main.js'].map(at).find((url) => existsSync(url))
const range = JSON.parse(readFileSync(at('package.json'), 'utf8')).engines.node
const system = process.platform === 'win32' ? 'win' : process.platform
const pinned = at(`tools/node/node_modules/node-${system}-${process.arch}/bin/node`)

if (main === undefined) {
  fail('there is neither src/ nor dist/', 'build it: npm run build')
} else if (satisfies(process.version, range)) {
  // Compiled code is remembered: without it, reading TypeScript takes longer than the shortest commands.
  module.enableCompileCache?.()
  module.registerHooks?.({ resolve })
  await import(main.href)
} else if (existsSync(pinned)) {
  const { runChild } = await import('../scripts/child.mjs')
  const args = [fileURLToPath(import.meta.url), ...process.argv.slice(2)]
  const ended = await runChild(fileURLToPath(pinned), args, { cwd: process.cwd(), env: process.env, capture: false })
  process.exitCode = ended.code
} else {
  fail(`Node ${range} is needed; this is ${process.version}`, 'install it from https://nodejs.org')
}

/**
 * Modules of a user that say 'swarmbus' mean this copy, wherever they lie: two copies in one process would not know each other's things.
 * In a clone that is its source, which is what runs.
 * @type {import('node:module').ResolveHookSync}
 */
function resolve(specifier, context, next) {
  if (specifier !== 'swarmbus' && !specifier.startsWith('swarmbus/')) return next(specifier, context)
  const source = main?.href.endsWith('.ts') === true ? ['swarmbus-source'] : []
  return next(specifier, {
    ...context,
    parentURL: import.meta.url,
    conditions: [...context.conditions, ...source],
  })
}

/**
 * @param {string} text
 * @param {string} next
 */
function fail(text, next) {
  process.stderr.write(`swarmbus: ${text}\nnext: ${next}\n`)
  process.exitCode = 1
}
