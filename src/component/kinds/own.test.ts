import { createBus } from 'swarmbus'
import { createCatalog, createSwarm, defineKind, KINDS, llmKind, Reference, settingsOf } from 'swarmbus/component'
import { expect, test } from 'vitest'

test('[W68] [W71] a provider and a kind of a user plug in by the door, with memory, streaming and agents', async () => {
  const shouting = llmKind({
    kind: 'llm shouting',
    summary: 'says everything louder',
    keys: { mark: { type: 'text', default: '!', summary: 'stands at the end' } },
    model: (settings) => ({
      name: 'shouting',
      async *generate({ turns }) {
        yield { type: 'text-delta', text: (turns.at(-1)?.text ?? '').toUpperCase() }
        yield { type: 'text-delta', text: settings.text('mark') ?? '' }
      },
    }),
  })
  const box = defineKind({
    kind: 'custom tool',
    role: 'tool',
    summary: 'keeps what it gets',
    keys: { size: { type: 'whole', required: true, summary: 'how much goes in' } },
    make(spec) {
      const size = settingsOf(spec, box).number('size')
      return { handle: ({ data }) => `${String(data)} of ${size}` }
    },
  })
  await using bus = createBus()
  await using swarm = createSwarm({
    bus,
    catalog: createCatalog([...KINDS, shouting, box]),
    components: [
      {
        name: 'bob',
        kind: 'agent llm',
        settings: { model: new Reference('mind'), memory: new Reference('notes'), tools: [new Reference('box')] },
      },
      { name: 'mind', kind: 'llm shouting', settings: { mark: '?!' } },
      { name: 'notes', kind: 'memory short_term', settings: {} },
      { name: 'box', kind: 'custom tool', settings: { size: 3 } },
    ],
  })
  await swarm.start()
  const notes = swarm.component('notes')
  expect(await notes.request('bob', 'hello', { session: 's' })).toBe('HELLO?!')
  expect(await notes.request('notes', { action: 'data' }, { session: 's' })).toHaveLength(2)
  expect(await notes.request('box', 'one')).toBe('one of 3')
  const parts: unknown[] = []
  for await (const chunk of notes.requestStream('mind', 'hey')) if (!chunk.final) parts.push(chunk.data)
  expect(parts).toEqual(['HEY', '?!'])
})
