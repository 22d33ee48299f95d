import { Command } from 'commander'
import type { Ack } from '../../bus/ack.ts'
import type { PublishOptions } from '../../bus/publisher.ts'
import type { Priority } from '../../message/priority.ts'
import { PRIORITIES } from '../../message/priority.ts'
import { type Act, type Call, exitOf, usage } from '../call.ts'
import { CliError, EXIT, faultOf } from '../faults.ts'
import { linesOf, textOf } from '../input.ts'
import type { Kept } from '../open.ts'
import { choice, parseData, parseDuration, parseText, topicText } from '../parse.ts'
import { counted, spanText } from '../text.ts'

interface Options {
  readonly lines?: boolean
  readonly text?: boolean
  readonly priority?: Priority
  readonly session?: string
  readonly ttl?: number
  readonly delay?: number
  readonly id?: string
  readonly key?: string
  readonly channel?: string
}

const EXAMPLES = `
Examples:
  $ swarmbus publish tasks.coding '{"title":"fix auth"}' --file swarm.db --priority critical
  $ swarmbus publish tasks.coding 'fix auth' --url redis://localhost:6379
  $ swarmbus publish agent.pink hello --session user-42 --ttl 10m
  $ cat report.md | swarmbus publish reports.daily - --text
  $ jq -c '.[]' tasks.json | swarmbus publish tasks.coding - --lines

DATA that is JSON is sent as what it says, anything else as text. The message is kept when the command ends, on disk in a file; on a
broker the answer names the level that was reached.`

/** Publishes of one call that wait for the disk at once: they share its commits. */
const IN_FLIGHT = 256

/** `swarmbus publish TOPIC DATA`: keeps one message, or one for each line of standard input. */
export function publishCommand(act: Act): Command {
  return new Command('publish')
    .description('keep a message, or one for each line of standard input')
    .argument('<topic>', 'tokens joined by dots', topicText)
    .argument('<data>', 'JSON or text; - reads standard input')
    .option('--lines', 'with -: each line is a message of its own')
    .option('--text', 'take the data as text, even if it is JSON')
    .addOption(choice('--priority <level>', 'how urgent it is', PRIORITIES))
    .option('--session <id>', 'the ordered conversation it belongs to', parseText)
    .option('--ttl <duration>', 'not handled when it is older, as 30s or 5m', parseDuration)
    .option('--delay <duration>', 'nobody gets it before, as 30s or 5m', parseDuration)
    .option('--id <uuid>', 'its own id: a repeat is kept once', parseText)
    .option('--key <key>', 'a repeat with the same key is kept once', parseText)
    .option('--channel <name>', 'the channel that keeps it; default: the first token of the topic', parseText)
    .addHelpText('after', EXAMPLES)
    .action(act(publish))
}

async function publish(call: Call, topic: string, data: string, options: Options): Promise<number> {
  const lines = options.lines === true
  if (lines && data !== '-') throw usage('--lines goes with - as the data', 'swarmbus publish TOPIC - --lines')
  if (lines && (options.id ?? options.key) !== undefined) {
    throw usage(
      '--id and --key name one message, and --lines publishes several',
      'leave them away, or publish one by one',
    )
  }
  const single = lines ? undefined : dataOf(data === '-' ? await textOf(call.io.stdin) : data, options, '')
  const { withKept } = await import('../open.ts')
  const { channel } = options
  const channels = channel === undefined ? {} : { [channel]: { topics: [topic] } }
  return withKept(
    call,
    (kept) => (lines ? manyOf(call, kept, topic, options) : oneOf(call, kept, topic, single, options)),
    {
      create: true,
      channels,
    },
  )
}

async function oneOf({ out }: Call, { bus }: Kept, topic: string, data: unknown, options: Options): Promise<number> {
  const ack = mustBeKept(await bus.publish(topic, data, fieldsOf(options)))
  await out.entry(ackJson(ack), () => {
    const text = ack.duplicate ? 'was kept before' : 'kept'
    return `${out.look('green', text)} ${ack.offset} (${ack.level}) id ${ack.id}`
  })
  return EXIT.ok
}

async function manyOf(call: Call, { bus }: Kept, topic: string, options: Options): Promise<number> {
  const { io, out } = call
  const stop = call.stop()
  const startMs = io.clock.monotonicMs()
  const waiting = new Set<Promise<void>>()
  let [line, kept, repeats] = [0, 0, 0]
  let failure: { readonly line: number; readonly error: unknown } | undefined
  // What was begun is waited for, whatever happens: then the count is true.
  try {
    for await (const text of linesOf(io.stdin, stop.signal)) {
      line++
      if (text.trim() === '') continue
      const at = line
      const data = dataOf(text, options, `line ${at}: `)
      const one = bus
        .publish(topic, data, fieldsOf(options))
        .then((ack) => {
          mustBeKept(ack)
          kept++
          if (ack.duplicate) repeats++
          out.progress(`${kept} kept`)
          return out.json ? out.entry(ackJson(ack), () => '') : undefined
        })
        .catch((error: unknown) => {
          if (failure === undefined || failure.line > at) failure = { line: at, error }
        })
        .finally(() => waiting.delete(one))
      waiting.add(one)
      if (waiting.size >= IN_FLIGHT) await Promise.race(waiting)
      if (failure !== undefined) break
    }
  } catch (error) {
    failure ??= { line, error }
  }
  await Promise.all(waiting)
  const spent = spanText(io.clock.monotonicMs() - startMs)
  const sum = `${counted(kept, 'message')} kept${repeats > 0 ? ` (${counted(repeats, 'repeat')} among them)` : ''}`
  if (failure !== undefined) {
    const fault = faultOf(failure.error)
    const text = fault.message.replace(/^line \d+: /, '')
    throw new CliError(fault.exitCode, `line ${failure.line}: ${text} (${sum} before)`, fault.next, {
      cause: failure.error,
    })
  }
  const text = `${sum} in ${spent}${stop.interrupted() ? ', interrupted' : ''}`
  await (out.json ? out.note(text) : out.text(text))
  return exitOf(stop)
}

function dataOf(text: string, options: Options, where: string): unknown {
  try {
    return parseData(text, options.text === true)
  } catch (error) {
    throw usage(
      `${where}the data is wrong: ${(error as Error).message}`,
      'mend the JSON, or give --text to send it as text',
    )
  }
}

function fieldsOf({ priority, session, ttl, delay, id, key }: Options): PublishOptions {
  return {
    ...(priority === undefined ? {} : { priority }),
    ...(session === undefined ? {} : { session }),
    ...(ttl === undefined ? {} : { ttlMs: ttl }),
    ...(delay === undefined ? {} : { delayMs: delay }),
    ...(id === undefined ? {} : { id }),
    ...(key === undefined ? {} : { idempotencyKey: key }),
  }
}

/** Throws for a message that went to nobody: live topics are not kept, and nobody listens in this process. */
function mustBeKept(ack: Ack): Ack {
  if (ack.offset !== undefined) return ack
  const text = `"${ack.topic}" is a live topic: nothing was kept, and nobody listens here`
  throw new CliError(EXIT.failed, text, 'choose another topic, or name the channel that keeps it with --channel')
}

function ackJson({ id, topic, level, offset, duplicate }: Ack): object {
  return { id, topic, level, offset, duplicate }
}
