import { fork } from 'node:child_process'
import { isEnd } from '../../component/kinds/input/command-line.ts'
import type { Env } from '../../kit/env.ts'
import type { Feed } from './feed.ts'
import { CHILD, type FromChild, type ToChild, type Why } from './talk.ts'

/** How a process of a swarm ended. */
export interface Ended {
  readonly code: number | undefined
  readonly signal: string | undefined
  /** True when the last that it was given was the end of the input, or a line that ends the run. */
  readonly isOver: boolean
  /** True when it had to be ended at once. */
  readonly wasKilled: boolean
}

/** The process of a swarm. */
export interface Child {
  /** Resolves to the modules that will be imported when the files are sound; undefined when they are not, which it has told. */
  readonly checked: Promise<readonly string[] | undefined>
  /** Resolves once it is gone. */
  readonly ended: Promise<Ended>
  /** What it has read so far. */
  readonly reads: ReadonlySet<string>
  /** Starts the swarm. */
  go(): void
  /** Ends it in order, at once after the limit; a second call changes nothing. */
  end(why: Why): Promise<Ended>
  /** Ends it at once. */
  kill(): void
}

export interface ChildOptions {
  /** For the program: `dev` with its file and options. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Env
  readonly feed: Feed
  /** Its standard input is a terminal. */
  readonly isTTY: boolean
  readonly endLimitMs: number
  readonly onRead: (path: string, hash: string) => void
}

/** Starts the process of a swarm: the same program, in the same Node. It checks its files, and waits. */
export function startChild(options: ChildOptions): Child {
  const { args, env, clock, feed, isTTY, endLimitMs, onRead } = options
  const [, program = ''] = process.argv
  const child = fork(program, args, {
    env: { ...env, [CHILD]: '1' },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const checked = Promise.withResolvers<readonly string[] | undefined>()
  const ended = Promise.withResolvers<Ended>()
  const reads = new Set<string>()
  let isOver = false
  let wasKilled = false
  let ending = false
  const done = (code: number | null, signal: string | null): void => {
    ending = true
    checked.resolve(undefined)
    ended.resolve({ code: code ?? undefined, signal: signal ?? undefined, isOver, wasKilled })
  }
  child.on('exit', done)
  child.on('error', () => {
    // Also told when a process cannot be reached: only without one has it ended.
    if (child.pid === undefined) done(null, null)
  })
  child.on('message', (message: FromChild) => {
    if (message.type === 'read') {
      reads.add(message.path)
      onRead(message.path, message.hash)
    } else if (message.type === 'sound') checked.resolve(message.modules)
    else {
      void feed.give(
        () => !ending,
        (text) => {
          isOver = text === undefined || isEnd(text)
          send(text === undefined ? { type: 'line' } : { type: 'line', text })
        },
      )
    }
  })
  function send(message: ToChild): void {
    // One that is gone is noticed by its end.
    if (child.connected) child.send(message, () => undefined)
  }
  function kill(): void {
    child.kill('SIGKILL')
  }
  return {
    checked: checked.promise,
    ended: ended.promise,
    reads,
    go: () => send({ type: 'go', isTTY }),
    end(why) {
      if (!ending) {
        ending = true
        // Not a signal: a line that is on its way must be there first.
        send({ type: 'stop', why })
        const timer = clock.after(endLimitMs, () => {
          wasKilled = true
          kill()
        })
        void ended.promise.then(() => timer.cancel())
      }
      return ended.promise
    },
    kill,
  }
}
