import { crc32 } from 'node:zlib'
import { type BusStreams, createBus } from '../../src/index.ts'
import { timedEach } from '../harness/clock.ts'
import { mustBe } from '../harness/data.ts'
import type { Contestant, Pass, Workload } from '../harness/types.ts'
import { RingInbox } from '../ring.ts'

const CHUNKS = 5_000

interface Piece {
  readonly index: number
  readonly data: string
  readonly checksum: string | undefined
}

/** One stream with its two ends. */
interface Pipe {
  write(text: string): Promise<void> | void
  end(): void
  readonly pieces: AsyncIterable<Piece>
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0')
}

function textOf(index: number): string {
  return `chunk ${index}: the quick brown fox jumps over the lazy dog`
}

function swarmbusPipe(streams: BusStreams): Pipe {
  const writer = streams.open({ type: 'text' })
  return { write: (text) => writer.write(text), end: () => writer.complete(), pieces: streams.read<string>(writer.id) }
}

function barePipe(): Pipe {
  const inbox = new RingInbox<Piece | undefined>(8_192)
  let index = 0
  return {
    write: (data) => inbox.push({ index: index++, data, checksum: checksum(data) }),
    end: () => inbox.push(undefined),
    pieces: {
      async *[Symbol.asyncIterator]() {
        for (let piece = await inbox.receive(); piece !== undefined; piece = await inbox.receive()) yield piece
      },
    },
  }
}

function streaming(
  name: string,
  kind: Contestant['kind'],
  prepare: () => { open: () => Pipe; close?: () => Promise<unknown> },
): Contestant {
  return {
    name,
    kind,
    open(scale) {
      const { open, close } = prepare()
      const total = scale.count(CHUNKS)
      return { pass: () => pass(open(), total), ...(close === undefined ? {} : { close }) }
    },
  }
}

async function pass(pipe: Pipe, total: number): Promise<Pass> {
  let received = 0
  const done = await timedEach(total, async (samples) => {
    const reading = (async () => {
      for await (const { index, data, checksum: sum } of pipe.pieces) {
        samples[index] = performance.now() - (samples[index] as number)
        mustBe('index of the chunk', index, received)
        mustBe('checksum of the chunk', checksum(data), sum)
        received++
      }
    })()
    for (let index = 0; index < total; index++) {
      samples[index] = performance.now()
      const written = pipe.write(textOf(index))
      if (written !== undefined) await written
    }
    pipe.end()
    await reading
  })
  mustBe('received chunks', received, total)
  return done
}

export const wh7: Workload = {
  id: 'WH7',
  rows: [
    {
      name: 'chunks',
      work: '5 000 stream chunks to a reader task, checksum at both ends',
      timed:
        'making the text, write with its checksum, the reader and its checksum, until the stream has ended; two clock readings per ' +
        'chunk. Percentiles: from write until read. The bare inbox holds nobody back, so its chunks wait longer',
      unit: 'chunks',
      contestants: [
        streaming('swarmbus', 'ours', () => {
          const bus = createBus()
          return { open: () => swarmbusPipe(bus.streams), close: () => bus.close() }
        }),
        streaming('bare ring inbox', 'limit', () => ({ open: barePipe })),
      ],
      elsewhere: { system: 'woodwork', figures: { perSecond: 62_505, p50: 26.7, p95: 41.2, p99: 44.6 } },
    },
  ],
}
