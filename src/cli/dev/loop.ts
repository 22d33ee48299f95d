import { realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import type { Call } from '../call.ts'
import { EXIT } from '../faults.ts'
import { linesOf } from '../input.ts'
import { type Child, type Ended, startChild } from './child.ts'
import { feedOf } from './feed.ts'
import { hashOfFile } from './hash.ts'
import { syntaxFault } from './syntax.ts'
import { tellerOf } from './teller.ts'
import { watchFiles } from './watch.ts'

/** What is run, and started again. */
export interface LoopOptions {
  readonly file: string
  /** For the program that runs it. */
  readonly args: readonly string[]
  readonly drainMs: number
}

/** Beyond what is on its way: for what components do at their end. */
const GRACE_MS = 5_000
const MODULE = /\.[cm]?[jt]s$/

/**
 * Runs a swarm in a process of its own, and starts it again when a file changes that it was made from. One swarm runs at a time: the next one
 * starts when its files are sound and the one before has ended in order. Resolves to the exit code when the input has ended or it is
 * stopped, and no process is left; a second request to stop ends them at once.
 */
export async function runLoop(call: Call, { file, args, drainMs }: LoopOptions): Promise<number> {
  const { io } = call
  const children = new Set<Child>()
  let requests = 0
  // Before that of the call, which ends this process at the second request.
  const unheard = io.onSignal(() => {
    if (++requests > 1) for (const child of children) child.kill()
  })
  const { signal } = call.stop()
  const folder = realpathSync(dirname(resolve(file)))
  const always = [realpathSync(file), join(folder, basename(file)), join(folder, '.env')]
  const watch = watchFiles(folder, io.clock)
  for (const path of always) watch.know(path, hashOfFile(path))
  const feed = feedOf(linesOf(io.stdin, signal))
  const told = tellerOf(call, folder)
  const finished = Promise.withResolvers<void>()
  if (signal.aborted) finished.resolve()
  signal.addEventListener('abort', () => finished.resolve(), { once: true })
  let over: Ended | undefined
  let current: Child | undefined
  let known: ReadonlySet<string> = new Set()

  function start(): Child {
    const child = startChild({
      args,
      env: io.env,
      clock: io.clock,
      feed,
      isTTY: io.stdin.isTTY,
      endLimitMs: drainMs + GRACE_MS,
      onRead: (path, hash) => watch.know(path, hash),
    })
    children.add(child)
    void child.ended.then((how) => {
      children.delete(child)
      if (child !== current || !how.isOver) return
      over = how
      finished.resolve()
    })
    return child
  }

  /** Whether the swarm may start. What is wrong is shown. */
  function look(next: Child, files: readonly string[]): Promise<'sound' | 'broken' | 'changed' | 'finished'> {
    const sound = next.checked.then(async (modules) => {
      if (modules === undefined) return 'broken'
      // At the first start nothing is lost by what shows only when it is imported.
      const changed = files.filter((path) => known.has(path) || next.reads.has(path) || modules.includes(path))
      const unseen = files.length === 0 ? [] : modules.filter((path) => !known.has(path))
      const looked = [...changed, ...unseen].filter((path) => MODULE.test(path))
      const faults = await Promise.all([...new Set(looked)].map((path) => syntaxFault(path, signal)))
      const found = faults.filter((one) => one !== undefined)
      if (found.length > 0) await told.faults(found)
      return found.length > 0 ? 'broken' : 'sound'
    })
    return Promise.race([
      sound,
      watch.changed().then(() => 'changed' as const),
      finished.promise.then(() => 'finished' as const),
    ])
  }

  /** Waits for the next change; undefined when it is all over. */
  async function nextChange(): Promise<readonly string[] | undefined> {
    for (;;) {
      const running = current
      const what = await Promise.race([
        finished.promise.then(() => 'finished' as const),
        watch.changed(),
        ...(running === undefined ? [] : [running.ended]),
      ])
      if (what === 'finished') return undefined
      if (what === undefined) return watch.take()
      if (what.isOver) return undefined
      current = undefined
      watch.any(true)
      await told.ended(what)
    }
  }

  try {
    for (let files: readonly string[] = []; ; ) {
      const next = start()
      const verdict = await look(next, files)
      if (verdict === 'finished') break
      if (verdict === 'sound') {
        // First of all: from here on it is given no more lines.
        const ended = current?.end('restart')
        if (files.length > 0) await told.again(files)
        if (ended !== undefined) await told.killed(await ended)
        if (signal.aborted || over !== undefined) break
        current = next
        known = next.reads
        watch.keep(new Set([...always, ...next.reads]))
        watch.any(false)
        next.go()
      } else {
        next.kill()
        if (verdict === 'broken') {
          watch.any(true)
          await told.broken(files, current !== undefined)
        }
      }
      const more = verdict === 'changed' ? watch.take() : await nextChange()
      if (more === undefined) break
      files = verdict === 'changed' ? [...new Set([...files, ...more])] : more
    }
    if (over !== undefined) return over.code ?? EXIT.failed
    if (current === undefined) return EXIT.ok
    const how = await current.end('interrupt')
    await told.killed(how)
    return how.code ?? EXIT.interrupted
  } finally {
    watch.close()
    const left = [...children]
    for (const child of left) child.kill()
    await Promise.all(left.map((child) => child.ended))
    unheard()
  }
}
