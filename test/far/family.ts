import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { type Bus, createBus } from '../../src/index.ts'
import { openWire } from './broker.ts'

/** A bus of this process, and others of processes of their own. */
export interface Family extends AsyncDisposable {
  readonly bus: Bus
  readonly children: readonly ChildProcess[]
}

/** Opens a bus over the broker, and a child process for each name. */
export async function family(url: string, prefix: string, names: readonly string[]): Promise<Family> {
  const children = names.map((name) => fork(join(import.meta.dirname, 'child.ts'), [url, prefix, name]))
  await Promise.all(children.map((child) => once(child, 'message')))
  const { wire, link } = await openWire(url, prefix)
  const bus = createBus({ wire, name: 'parent' })
  await bus.ready
  return {
    bus,
    children,
    async [Symbol.asyncDispose]() {
      await bus.close()
      await wire[Symbol.asyncDispose]()
      await link[Symbol.asyncDispose]()
      const left = children.filter((child) => child.exitCode === null && child.signalCode === null)
      for (const child of left) child.kill('SIGKILL')
      await Promise.all(left.map((child) => once(child, 'exit')))
    },
  }
}
