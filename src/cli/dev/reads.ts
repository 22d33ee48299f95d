import { existsSync, realpathSync, statSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { extname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ComponentSpec, Setting } from '../../component/spec.ts'
import type { LoadedSwarm } from '../../config/load.ts'
import { hashOf, hashOfFile } from './hash.ts'

/** Told of every file that is read, with its hash from before it was. */
export type OnRead = (path: string, hash: string) => void

/** `src/` or `dist/`: swarmbus itself is no part of a swarm. */
const OWN = fileURLToPath(new URL('../../', import.meta.url))
const MODULE_ENDS = ['', '.ts', '.mts', '.js', '.mjs']
const MODULE = /\.[cm]?[jt]s$/
/** A swarm writes them itself. */
const WRITTEN = /\.(?:db|sqlite3?|log)$/
const WRITERS: readonly string[] = ['memory', 'knowledge-base', 'output', 'bus']

/** From now on every module that this process loads is told, but those of packages and of swarmbus. */
export function watchModules(onRead: OnRead): void {
  registerHooks({
    load(url, context, next) {
      if (url.startsWith('file:')) {
        const path = fileURLToPath(url)
        // Before it is read: what changes between the two is seen as a change, and never missed.
        if (!path.startsWith(OWN) && !/[\\/]node_modules[\\/]/.test(path)) onRead(path, hashOfFile(path))
      }
      return next(url, context)
    },
  })
}

/** Tells the files that a swarm was loaded from, and those that its settings name: prompts, answers, functions. */
export function tellFiles({ sources, specs, folder }: LoadedSwarm, onRead: OnRead): void {
  for (const { name, text } of sources.values()) onRead(realOf(resolve(name)), hashOf(text))
  for (const path of specs.flatMap((spec) => namedBy(spec, folder))) onRead(path, hashOfFile(path))
}

/** The modules of hooks, pipes and functions, where they lie. */
export function modulesOf({ specs, folder }: LoadedSwarm): readonly string[] {
  const found = specs.flatMap((spec) => {
    const folders = [folder, process.cwd()]
    const scripts = [...(spec.hooks ?? []), ...(spec.pipes ?? [])].flatMap(({ script, place }) => {
      const own = place === undefined ? [] : [resolve(place.file, '..')]
      return fileIn([...own, ...folders], script)
    })
    return [...scripts, ...namedBy(spec, folder)]
  })
  return [...new Set(found)].filter((path) => MODULE.test(path))
}

function fileIn(folders: readonly string[], name: string): readonly string[] {
  const ends = extname(name) === '' ? MODULE_ENDS : ['']
  const path = folders.flatMap((one) => ends.map((end) => resolve(one, `${name}${end}`))).find(isFile)
  return path === undefined ? [] : [realOf(path)]
}

function namedBy({ role, kind, settings }: ComponentSpec, folder: string): readonly string[] {
  if (WRITERS.includes(role ?? '') || /^(?:memory|knowledge_base)\b/.test(kind)) return []
  return textsIn(settings)
    .filter((text) => text !== '' && text.length < 1_000 && !/[\n\0]/.test(text) && !WRITTEN.test(text))
    .map((text) => resolve(folder, text))
    .filter(isFile)
    .map(realOf)
}

function textsIn(value: Setting | undefined): readonly string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value as Readonly<Record<string, Setting>>).flatMap(textsIn)
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile()
}

function realOf(path: string): string {
  return existsSync(path) ? realpathSync(path) : path
}
