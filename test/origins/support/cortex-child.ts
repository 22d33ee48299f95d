import { writeSync } from 'node:fs'
import { messageMaker, openBus } from '../../../src/index.ts'

// A process that works on one file and is killed from outside. It says what it has done, line by line, before it goes on.

/** What a child is told to do. */
export type Task =
  /** Publishes numbers from `from` on, several at once; says "acked N" after each answer. */
  | { readonly type: 'publish'; readonly file: string; readonly from: number }
  /** Handles one after another; says "handled N", then goes on when the file allows. */
  | { readonly type: 'consume'; readonly file: string }
  /** Handles for ever; says "started N". */
  | { readonly type: 'hang'; readonly file: string }
  /** Redrives dead letters one by one; says "redriven N". */
  | { readonly type: 'redrive'; readonly file: string }
  /** Says `count` ids in one line. */
  | { readonly type: 'ids'; readonly count: number }

function say(line: string): void {
  writeSync(1, `${line}\n`)
}

const task = JSON.parse(process.argv[2] ?? '') as Task
switch (task.type) {
  case 'ids': {
    const maker = messageMaker()
    say(`ids ${Array.from({ length: task.count }, () => maker.make('tasks.a', 0).id).join(',')}`)
    break
  }
  case 'publish': {
    const bus = await openBus(`sqlite:${task.file}`)
    let next = task.from
    const publisher = async (): Promise<never> => {
      for (;;) {
        const number = next++
        await bus.publish('tasks.coding', number, { to: 'pink' })
        say(`acked ${number}`)
      }
    }
    say('open')
    await Promise.all(Array.from({ length: 8 }, publisher))
    break
  }
  case 'consume': {
    const bus = await openBus(`sqlite:${task.file}`)
    bus.subscribe(
      'tasks.coding',
      async ({ data }) => {
        say(`handled ${data}`)
        // Slow enough for a kill in the middle of the work.
        await new Promise<void>((resolve) => void setTimeout(resolve, 2))
      },
      { group: 'workers', name: 'pink' },
    )
    break
  }
  case 'hang': {
    const bus = await openBus(`sqlite:${task.file}`)
    bus.subscribe(
      'tasks.coding',
      ({ data }) => {
        say(`started ${data}`)
        return new Promise(() => undefined)
      },
      { group: 'workers', name: 'pink' },
    )
    break
  }
  case 'redrive': {
    const bus = await openBus(`sqlite:${task.file}`)
    say('open')
    for (const { id, message } of await bus.deadLetters.list({ order: 'oldest', limit: 1_000 })) {
      await bus.deadLetters.redrive(id)
      say(`redriven ${message.data}`)
    }
    say('done')
    break
  }
  default:
    task satisfies never
}
