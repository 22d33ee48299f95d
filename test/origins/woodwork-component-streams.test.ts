import { expect, test } from 'vitest'
import type { Component } from '../../src/component/index.ts'
import { sink, swarmOf } from './support/components.ts'
import { faultOf, gate } from './support/woodwork.ts'

/** An output that takes streams, part by part. */
function streamSink(name: string, heard: unknown[]) {
  let own: Component | undefined
  return {
    name,
    role: 'output' as const,
    streamingInput: true,
    start(component: Component): void {
      own = component
    },
    async handle({ data }: { data: unknown }): Promise<void> {
      if (typeof data !== 'string' || !data.startsWith('stream:')) heard.push(['whole', data])
      else for await (const chunk of own?.readStream(data) ?? []) heard.push(chunk.data)
    },
  }
}

test('[W59] a streaming source reaches targets that stream part by part, and the others whole', async () => {
  const parts: unknown[] = []
  const others: unknown[] = []
  const whole: unknown[] = []
  const told: unknown[] = []
  const next = gate()
  await using r = await swarmOf([
    {
      name: 'llm',
      to: ['screen', 'second', 'file'],
      streamingOutput: true,
      async *handle() {
        yield 'Hel'
        await next.opened
        yield 'lo'
      },
    },
    streamSink('screen', parts),
    streamSink('second', others),
    sink('file', whole),
  ])
  r.swarm.on('response_generated', (payload) => void told.push(payload))
  await r.bus.send('llm', 'hi')
  await r.env.settle()
  expect([parts, others, whole, told]).toEqual([['Hel'], ['Hel'], [], []])
  next.open()
  await r.swarm.idle()
  expect([parts, others, whole, told]).toEqual([['Hel', 'lo'], ['Hel', 'lo'], ['Hello'], ['Hello']])
  expect(r.bus.streams.list()).toEqual([])
})

test('[W59] without the flags parts are collected: texts and bytes are joined, anything else is a list', async () => {
  const heard: unknown[] = []
  const lists = [['a', 'b'], [new Uint8Array([1]), new Uint8Array([2, 3])], [1, 'x'], []]
  await using r = await swarmOf([
    {
      name: 'source',
      to: ['screen'],
      async *handle({ data }) {
        yield* lists[data as number] as unknown[]
      },
    },
    { ...streamSink('screen', heard) },
  ])
  for (const index of lists.keys()) {
    await r.bus.send('source', index)
    await r.swarm.idle()
  }
  expect(heard).toEqual([
    ['whole', 'ab'],
    ['whole', new Uint8Array([1, 2, 3])],
    ['whole', [1, 'x']],
    ['whole', []],
  ])
})

test('[W59] a text that begins with `stream:` refers to a stream: collected for a target that takes none', async () => {
  const heard: unknown[] = []
  await using r = await swarmOf([
    { name: 'source', to: ['plain', 'screen'], routes: ['audio'] },
    sink('plain', heard),
    streamSink('screen', heard),
  ])
  const source = r.swarm.component('source')
  const stream = source.openStream({ type: 'text' })
  expect(stream.reference).toBe(`stream:${stream.id}`)
  expect(r.bus.streams.info(stream.id)).toMatchObject({ source: 'source', type: 'text' })
  await source.emit('audio', stream.reference)
  for (const part of ['x', 'y', 'z']) await stream.write(part)
  stream.complete()
  await r.swarm.idle()
  expect(heard.toSorted()).toEqual(['x', 'xyz', 'y', 'z'])
})

test('[W59] [WN17] with a pipe on its event a streaming result is seen by nobody before the pipe saw all of it', async () => {
  const heard: unknown[] = []
  const next = gate()
  await using r = await swarmOf([
    {
      name: 'llm',
      to: 'screen',
      streamingOutput: true,
      async *handle() {
        yield 'card 42'
        await next.opened
        yield '42'
      },
    },
    streamSink('screen', heard),
  ])
  r.swarm.pipe('response_generated', (payload) => String(payload).replaceAll('4242', '****'))
  await r.bus.send('llm', 'x')
  await r.env.settle()
  expect(heard).toEqual([])
  next.open()
  await r.swarm.idle()
  expect(heard).toEqual([['whole', 'card ****']])
})

test('[W59] a source that breaks off fails its stream at the reader, and is counted', async () => {
  const heard: unknown[] = []
  await using r = await swarmOf([
    {
      name: 'llm',
      to: 'screen',
      streamingOutput: true,
      async *handle() {
        yield 'half'
        throw new Error('cut')
      },
    },
    streamSink('screen', heard),
  ])
  await r.bus.send('llm', 'x')
  await r.swarm.idle()
  expect(heard).toEqual(['half'])
  expect(
    r.bus
      .failures()
      .map((one) => one.name)
      .toSorted(),
  ).toEqual(['llm', 'screen'])
  expect(r.swarm.stats().components.llm?.handlingFailures).toBe(1)
})

test('[W59] a reader that is gone does not hold up the others, and an unknown stream is refused', async () => {
  const heard: unknown[] = []
  await using r = await swarmOf([
    {
      name: 'llm',
      to: ['bad', 'screen'],
      streamingOutput: true,
      async *handle() {
        for (let part = 0; part < 2_000; part++) yield part
      },
    },
    {
      name: 'bad',
      streamingInput: true,
      handle() {
        throw new Error('no')
      },
    },
    streamSink('screen', heard),
  ])
  await r.bus.send('llm', 'x')
  await r.swarm.idle()
  expect(heard).toEqual(Array.from({ length: 2_000 }, (_, part) => part))
  await using other = await swarmOf([{ name: 'plain', handle: () => 'never' }])
  await other.bus.send('plain', 'stream:none')
  await other.swarm.idle()
  expect(other.bus.failures()).toMatchObject([{ name: 'plain', error: { code: 'STREAM_CLOSED' } }])
  expect((await faultOf(other.swarm.component('plain').request('nobody', 1))).code).toBe('UNKNOWN_AGENT')
})
