import { Command } from 'commander'
import type { DeadLetter } from '../../bus/kept-verbs.ts'
import type { Act, Call } from '../call.ts'
import { EXIT } from '../faults.ts'
import { groupOf, letterJson } from '../letters.ts'
import { parseText } from '../parse.ts'
import { localTime, oneLine, pad } from '../text.ts'

/** `swarmbus dead-letters show ID`: one of them with every attempt and its data. */
export function showCommand(act: Act): Command {
  return new Command('show')
    .description('show a dead letter with its attempts and its data')
    .argument('<id>', 'its id in the list, as tasks/dead:3', parseText)
    .action(act(show))
}

async function show(call: Call, id: string): Promise<number> {
  const { withKept } = await import('../open.ts')
  const { toJson } = await import('../../message/codec.ts')
  const { out } = call
  return withKept(call, async ({ bus }) => {
    const letter = await bus.deadLetters.get(id)
    if (out.json) {
      await out.document(letterJson(letter))
      return EXIT.ok
    }
    for (const [name, text] of fieldsOf(letter)) await out.text(`${out.look('bold', pad(name, 9))} ${oneLine(text)}`)
    await out.text(out.look('bold', 'attempts'))
    if (letter.attempts.length === 0) await out.text('  none')
    for (const [index, { time, error, code }] of letter.attempts.entries()) {
      const text = oneLine(`${error}${code === undefined ? '' : ` (${code})`}`)
      await out.text(`  ${index + 1}  ${out.look('dim', localTime(time))}  ${text}`)
    }
    await out.text(out.look('bold', 'data'))
    const { data } = toJson(letter.message)
    const lines =
      typeof data === 'string' ? data.split('\n') : (JSON.stringify(data, undefined, 2) ?? 'undefined').split('\n')
    for (const line of lines) await out.text(`  ${oneLine(line)}`)
    return EXIT.ok
  })
}

function fieldsOf(letter: DeadLetter): readonly (readonly [string, string])[] {
  const { id, channel, group, message, reason, error, code, diedAt, redriven } = letter
  const { name, patterns } = groupOf(group)
  const { session, from, to } = message
  return [
    ['id', id],
    ['message', message.id],
    ['topic', message.topic],
    ['channel', channel],
    ['group', patterns === '' ? name : `${name} (reads ${patterns})`],
    ['priority', message.priority],
    ...(session === undefined ? [] : [['session', session] as const]),
    ...(from === undefined ? [] : [['from', from] as const]),
    ...(to === undefined ? [] : [['to', to] as const]),
    ['published', localTime(message.time)],
    ['died', localTime(diedAt)],
    ['reason', reason],
    ['error', `${error}${code === undefined ? '' : ` (${code})`}`],
    ...(redriven === 0 ? [] : [['redriven', `${redriven} times before`] as const]),
  ]
}
