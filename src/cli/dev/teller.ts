import { relative } from 'node:path'
import type { Call } from '../call.ts'
import type { Ended } from './child.ts'

/** What `swarmbus dev` says beside what the swarm says; with `--json`, objects. */
export interface DevTeller {
  again(files: readonly string[]): Promise<void>
  /** Places in modules where they cannot be read. */
  faults(list: readonly string[]): Promise<void>
  /** The files cannot be started. */
  broken(files: readonly string[], isRunning: boolean): Promise<void>
  /** The swarm ended by itself. */
  ended(how: Ended): Promise<void>
  /** Says nothing unless it had to be ended at once. */
  killed(how: Ended): Promise<void>
}

const WAITS = 'waiting for a change'

/** Files are named as they lie below the folder. */
export function tellerOf({ io, out }: Call, folder: string): DevTeller {
  async function line(event: object, text: string): Promise<void> {
    if (out.json) {
      await out.entry(event, () => '')
      return
    }
    // A prompt may stand there.
    if (io.stdin.isTTY && io.stderr.isTTY) await io.stderr.write('\n')
    await out.status(text)
  }
  const named = (files: readonly string[]): readonly string[] => files.map((path) => relative(folder, path))
  return {
    again: (files) =>
      line({ type: 'changed', files: named(files) }, `changed: ${named(files).join(', ')}, starting again`),
    async faults(list) {
      for (const text of list) {
        if (out.json) await out.entry({ type: 'fault', text }, () => '')
        else await io.stderr.write(`${text}\n`)
      }
    },
    broken(files, isRunning) {
      const names = named(files)
      const what = names.length === 0 ? '' : `changed: ${names.join(', ')}, but it cannot start so; `
      const text = isRunning ? `${what}the swarm goes on as it was: ${WAITS}` : `${what}${WAITS}`
      return line({ type: 'broken', files: names, running: isRunning }, text)
    },
    ended({ code, signal }) {
      const how = signal === undefined ? (code === 0 ? 'ended' : `ended with code ${code}`) : `was ended by ${signal}`
      return line({ type: 'ended', code, signal }, `the swarm ${how}: ${WAITS}`)
    },
    async killed({ wasKilled }) {
      if (wasKilled) await out.warn('the swarm did not end within its time, and was ended at once', {})
    },
  }
}
