// The incident: a production fault, a swarm of agents, one bus. `npm start -- --help` tells how to use it.

import { BusError, chooseBackend } from 'swarmbus'
import type { Report } from './harold.ts'
import { BadInput, parseTask, type Task } from './intake.ts'
import type { Event } from './observer.ts'
import { HELP, isOneProcess, type Options, readOptions } from './options.ts'
import { eventLine, headLine, lookOf } from './screen.ts'
import { type Given, listed, type Prompt, piped, prompt } from './source.ts'
import { summaryLines, Tally } from './summary.ts'
import { type Swarm, startSwarm } from './swarm.ts'

/** Tasks in hand at once; reading waits for room, so that a long input does not have to fit into memory. */
const MOST_OPEN = 5_000
const DRAIN_MS = 5_000
const HINT_MS = 2_000

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  let options: Options
  try {
    options = readOptions(args)
  } catch (error) {
    process.stderr.write(`${(error as Error).message.split('. ')[0]}; --help lists the options\n`)
    return 2
  }
  if (options.help) {
    process.stdout.write(HELP)
    return 0
  }
  return run(options)
}

async function run({ json, pace, tasks, url, agents, serves }: Options): Promise<number> {
  const { stdin, stdout, stderr } = process
  // A reader that has gone (`… | head`) is no reason to complain.
  stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  const look = lookOf(stdout, process.env)
  const errorLook = lookOf(stderr, process.env)
  const interactive = !serves && tasks.length === 0 && stdin.isTTY === true
  let terminal: Prompt | undefined
  const print = (text: string): void =>
    void (terminal !== undefined && stdout.isTTY ? terminal.print(text) : stdout.write(text))
  let hasHead = false
  const tell = (event: Event): void => {
    if (json) print(`${JSON.stringify(event)}\n`)
    else if (event.type === 'refused' && !stdout.isTTY) stderr.write(`${eventLine(event, errorLook)}\n`)
    else {
      if (!hasHead && event.type !== 'note' && event.type !== 'refused') {
        hasHead = true
        print(`${headLine(look)}\n`)
      }
      print(`${eventLine(event, look)}\n`)
    }
  }

  let code = 0
  const stopped = Promise.withResolvers<void>()
  const stop = (signalCode: number): void => {
    // The second time at once.
    if (code === signalCode) process.exit(signalCode)
    code = signalCode
    stopped.resolve()
  }
  const onInterrupt = (): void => stop(130)
  const onTerminate = (): void => stop(143)
  process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate)

  if (interactive) {
    stdout.write(
      'One task a line; an empty line or Ctrl-D ends. For example: critical 30s: Production is down: fix auth\n',
    )
    terminal = prompt(stdin, stdout.isTTY ? stdout : stderr, onInterrupt)
  }
  const demonstrate = (): void =>
    tell({
      type: 'note',
      text: 'No tasks were given: these are demonstration tasks. --help tells how to give your own.',
    })
  const source = terminal?.given ?? (serves || tasks.length > 0 ? listed('argument', tasks) : piped(stdin, demonstrate))

  const tally = new Tally()
  let swarm: Swarm
  try {
    const onResumed = (report: Report): void => tally.resume(report)
    const beatMs = interactive || serves ? 10_000 : 1_000
    swarm = await startSwarm({ url, agents, serves, pace, beatMs, tell, onResumed })
  } catch (error) {
    if (!(error instanceof BusError)) throw error
    terminal?.close()
    stdin.destroy()
    const others = isOneProcess(url) ? '; --file names another one, --memory needs none' : ''
    stderr.write(`${error.message}\n${error.next}${others}\n`)
    return 1
  }
  const hint = setTimeout(() => stderr.write('waiting for tasks on standard input, one a line …\n'), HINT_MS)
  if (interactive || serves || tasks.length > 0) clearTimeout(hint)
  if (serves) {
    const place = chooseBackend(url, {}).url
    tell({ type: 'note', text: `Here: ${agents.join(', ')}, on ${place}. Ctrl-C ends it.` })
  }
  const open = new Set<Promise<void>>()
  let oneSettled = Promise.withResolvers<void>()

  const take = (given: Given): void => {
    clearTimeout(hint)
    let task: Task
    try {
      if ('fault' in given) throw new BadInput(given.fault)
      task = parseTask(given.text)
    } catch (error) {
      if (!(error instanceof BadInput)) throw error
      tally.refuse(given.where, error.message)
      tell({ type: 'refused', where: given.where, reason: error.message })
      return
    }
    tally.accept()
    const settled: Promise<void> = swarm.submit(task).then((report) => {
      tally.settle(given.where, task, report)
      open.delete(settled)
      oneSettled.resolve()
      oneSettled = Promise.withResolvers()
    })
    open.add(settled)
  }
  const readAll = async (): Promise<void> => {
    // Its agents work for other processes.
    if (serves) return stopped.promise
    for await (const given of source) {
      if (code !== 0) return
      take(given)
      while (open.size >= MOST_OPEN) await oneSettled.promise
    }
    await Promise.all(open)
    await swarm.caughtUp()
  }

  try {
    await Promise.race([readAll(), stopped.promise])
  } catch (error) {
    stderr.write(`standard input cannot be read: ${(error as Error).message}\n`)
    code = 1
    await Promise.all(open)
  }
  clearTimeout(hint)
  terminal?.close()
  terminal = undefined
  if (interactive && code >= 128) stdout.write('\n')
  if (code >= 128 && !json)
    stdout.write(`stopping: what is in hand may take ${DRAIN_MS / 1_000} s more; again to stop at once\n`)
  const left = await swarm.close(code >= 128 ? DRAIN_MS : 1_000)
  await Promise.all(open)
  const summary = tally.summary(swarm, code >= 128, left)
  stdout.write(json ? `${JSON.stringify(summary)}\n` : `\n${summaryLines(summary, look).join('\n')}\n`)
  process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate)
  // An unread rest of the input must not keep the process alive.
  stdin.destroy()
  return code
}
