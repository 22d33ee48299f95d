import assert from 'node:assert/strict'
import { all, consumer, dataOf, item, items, refuses, type Suite } from './harness.ts'

/** Data of every kind that a message may carry. */
function everyKind(): unknown[] {
  let deep: unknown = 'bottom'
  for (let depth = 0; depth < 60; depth++) deep = { deep }
  return [
    undefined,
    null,
    true,
    0,
    -0.5,
    Number.NaN,
    Number.NEGATIVE_INFINITY,
    2n ** 80n,
    '',
    'ä €𐍈 \u0000 \n',
    [],
    [1, [2, [undefined]]],
    {},
    // Without a property that is undefined: codecs leave it out, logs in memory keep it.
    { b: [{ c: null }] },
    new Date(1_700_000_000_000),
    new Map<unknown, unknown>([
      ['k', 1],
      [2, new Map([['inner', 'm']])],
    ]),
    new Set(['a', 1]),
    Uint8Array.from({ length: 256 }, (_, index) => index),
    new Uint8Array(0),
    deep,
    'x'.repeat(300_000),
  ]
}

const STREAMS = [
  'a/b/c',
  'no slash',
  ' ',
  '/',
  'ä€𐍈',
  "it's; DROP TABLE entries --",
  'x'.repeat(512),
  '__proto__',
  '%s/../..',
]

/** What `append` promises. */
export function appendCases({ on, clock, harness }: Suite): void {
  on('[C14] append answers with the offsets in order, and what was stored is read back', async (log) => {
    const sent = items(20)
    const appended = await log.append('c/a', sent)
    assert.deepEqual(
      appended.map(({ id, stream, duplicate }) => ({ id, stream, duplicate })),
      sent.map(({ message }) => ({ id: message.id, stream: 'c/a', duplicate: false })),
    )
    const entries = await all(log.read('c/a'))
    assert.deepEqual(
      entries.map((entry) => entry.type === 'entry' && [entry.offset, entry.message.id, entry.message.data]),
      sent.map(({ message }, index) => [appended[index]?.offset, message.id, message.data]),
    )
  })

  on('an append of nothing answers with nothing, and makes no stream', async (log) => {
    assert.deepEqual(await log.append('c/a', []), [])
    assert.deepEqual(await log.streams(), [])
  })

  on('a thousand messages of one append are kept together', async (log) => {
    const [, appended] = await Promise.all([
      log.append('c/a', items(10, 5_000)),
      log.append('c/a', items(1_000)),
      log.append('c/a', items(10, 6_000)),
    ])
    assert.equal(new Set(appended.map(({ offset }) => offset)).size, 1_000)
    const data = dataOf(await all(log.read('c/a')))
    assert.deepEqual(data.slice(10, 1_010), dataOf(items(1_000)))
  })

  on('of an append with one item that cannot be kept, none is', async (log) => {
    for (const wrong of [
      { message: undefined },
      { ...item(1), delayMs: -1 },
      { ...item(1), key: '' },
      { ...item(1), note: 1 },
    ]) {
      const list = [...items(3), wrong, ...items(3)] as ReturnType<typeof items>
      await refuses('INVALID_OPTION', () => log.append('c/a', list))
    }
    await refuses('INVALID_OPTION', () => log.append('c/a', undefined as never))
    assert.deepEqual(await all(log.read('c/a')), [])
  })

  on('data of every kind comes back as it was', async (log) => {
    const kinds = everyKind()
    await log.append(
      'c/a',
      kinds.map((data) => item(data)),
    )
    const entries = await all(log.read('c/a'))
    for (const [index, data] of kinds.entries()) {
      const entry = entries[index]
      assert.ok(entry?.type === 'entry')
      assert.deepEqual(entry.message.data, data)
    }
    await using one = consumer(clock, log, 'c/a')
    const deliveries = await one.take(kinds.length)
    assert.deepEqual(dataOf(deliveries).slice(2), kinds.slice(2))
  })

  on('every field of the envelope comes back', async (log) => {
    const sent = item(
      { a: 1 },
      {},
      {
        from: 'one',
        to: 'two',
        session: 's',
        priority: 'critical',
        ttlMs: 3_600_000,
        correlationId: 'chain',
        replyTo: 'agent.one',
        headers: { traceparent: '00-1-2-01', label: 'ä' },
      },
    )
    await log.append('c/a', [sent])
    const [entry] = await all(log.read('c/a'))
    assert.ok(entry?.type === 'entry')
    assert.deepEqual({ ...entry.message }, { ...sent.message })
  })

  on('the time of storing never falls within a stream, and lies at the time of the append', async (log) => {
    const before = clock.wallMs()
    for (let count = 0; count < 20; count++) await log.append('c/a', items(1))
    const after = clock.wallMs()
    const times = (await all(log.read('c/a'))).map((entry) => (entry.type === 'entry' ? entry.storedAt : Number.NaN))
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    )
    assert.ok((times[0] as number) >= before - 5 && (times.at(-1) as number) <= after + 5)
  })

  on('the note of an item is kept beside its message', async (log) => {
    await log.append('c/a', [item(1, { note: '{"why":"ä"}' }), item(2), item(3, { note: '' })])
    const notes = (await all(log.read('c/a'))).map((entry) => entry.type === 'entry' && entry.note)
    assert.deepEqual(notes, ['{"why":"ä"}', undefined, ''])
  })

  on('[C22] the repeat of an id within the channel is stored once, and answered with the first one', async (log) => {
    const sent = item('once')
    const [first] = await log.append('c/high', [sent])
    for (const stream of ['c/high', 'c/low']) {
      assert.deepEqual(await log.append(stream, [sent]), [{ ...first, duplicate: true }])
    }
    assert.deepEqual(await all(log.read('c/low')), [])
    assert.equal((await all(log.read('c/high'))).length, 1)
  })

  on('[C22] a key of its own counts instead of the id', async (log) => {
    const [first] = await log.append('c/a', [item(1, { key: 'order-1' })])
    const [second] = await log.append('c/b', [item(2, { key: 'order-1' })])
    assert.deepEqual(second, { ...first, duplicate: true })
    const [other] = await log.append('c/b', [item(3, { key: 'order-2' })])
    assert.equal(other?.duplicate, false)
  })

  on('channels compare their keys among themselves only', async (log) => {
    const sent = item(1, { key: 'k' })
    for (const stream of ['one/a', 'two/a', 'one/x/a', 'one']) {
      const [appended] = await log.append(stream, [sent])
      // `one` without a part is its own channel, the same as that of `one/a`.
      assert.equal(appended?.duplicate, stream === 'one', stream)
    }
  })

  on('with the key false every repeat is stored', async (log) => {
    const sent = { ...item(1), key: false as const }
    const offsets = [await log.append('c/a', [sent]), await log.append('c/a', [sent, sent])].flat()
    assert.equal(new Set(offsets.map(({ offset }) => offset)).size, 3)
    assert.ok(offsets.every(({ duplicate }) => !duplicate))
  })

  on('[I5] repeats in one append, and in appends at the same time, are stored once', async (log) => {
    const sent = item(1)
    const answers = await Promise.all([
      log.append('c/a', [sent, item(2), sent]),
      log.append('c/a', [sent]),
      log.append('c/b', [sent]),
    ])
    assert.equal(answers.flat().filter(({ id, duplicate }) => id === sent.message.id && !duplicate).length, 1)
    assert.equal((await all(log.read('c/a'))).length + (await all(log.read('c/b'))).length, 2)
  })

  on(
    'outside of the duplicate window a repeat is stored again',
    async (log) => {
      const sent = item(1)
      await log.append('c/a', [sent])
      assert.equal((await log.append('c/a', [sent]))[0]?.duplicate, true)
      await clock.advance(900)
      assert.equal((await log.append('c/a', [sent]))[0]?.duplicate, false)
      assert.equal((await log.append('c/a', [sent]))[0]?.duplicate, true)
    },
    { dedupMs: 400 },
  )

  on('no group gets an item before its delay has passed, while a reader sees it at once', async (log) => {
    await log.append('c/a', [item('late', { delayMs: 300 }), item('now'), item('later', { delayMs: 500 })])
    assert.deepEqual(dataOf(await all(log.read('c/a'))), ['late', 'now', 'later'])
    await using one = consumer(clock, log, 'c/a')
    assert.equal((await one.next()).message.data, 'now')
    await one.none(100)
    const { delayed, leased, pending } = await log.groups('c/a').then(([info]) => info as NonNullable<typeof info>)
    assert.deepEqual({ delayed, leased, pending }, { delayed: 2, leased: 1, pending: 0 })
    await clock.advance(250)
    const late = await one.next()
    await clock.advance(200)
    const later = await one.next()
    assert.deepEqual(dataOf([late, later]), ['late', 'later'])
    assert.deepEqual([late.attempt, later.attempt], [1, 1])
  })

  on('appends at the same time keep the order of each caller, and no offset is given twice', async (log) => {
    const offsets = new Set<string>()
    await Promise.all(
      Array.from({ length: 16 }, async (_, caller) => {
        for (let index = 0; index < 50; index++) {
          for (const { offset } of await log.append('c/a', [item({ caller, index })])) offsets.add(offset)
        }
      }),
    )
    assert.equal(offsets.size, 800)
    const next = new Array<number>(16).fill(0)
    for (const data of dataOf(await all(log.read('c/a')))) {
      const { caller, index } = data as { caller: number; index: number }
      assert.equal(index, next[caller])
      next[caller] = index + 1
    }
    assert.ok(next.every((count) => count === 50))
  })

  on('appends of one caller that are not awaited keep their order, too', async (log) => {
    await Promise.all(items(300).map((one) => log.append('c/a', [one])))
    assert.deepEqual(dataOf(await all(log.read('c/a'))), dataOf(items(300)))
  })

  on('streams of unusual names are told apart', async (log) => {
    for (const [index, stream] of STREAMS.entries()) await log.append(stream, [item(index)])
    for (const [index, stream] of STREAMS.entries()) {
      assert.deepEqual(dataOf(await all(log.read(stream))), [index], stream)
      await using one = consumer(clock, log, stream, stream)
      assert.equal((await one.next()).message.data, index)
    }
    assert.deepEqual(
      (await log.streams()).map(({ stream }) => stream),
      STREAMS.toSorted((a, b) => (a < b ? -1 : 1)),
    )
  })

  on('names that cannot be told apart everywhere are refused', async (log) => {
    for (const name of ['', 'a\u0000b', 'line\n', 'x'.repeat(513), '\ud800', 1, undefined, null]) {
      const stream = name as string
      await refuses('INVALID_OPTION', () => log.append(stream, items(1)))
      await refuses('INVALID_OPTION', () => all(log.read(stream)))
      await refuses('INVALID_OPTION', () => log.consume(stream, 'g'))
      await refuses('INVALID_OPTION', () => log.consume('c/a', stream))
      await refuses('INVALID_OPTION', () => log.join('c/a', stream))
    }
  })

  on('a message that cannot be stored is refused as such, or stored', async (log) => {
    const wrong = { message: { ...item(1).message, data: { call: () => undefined } } }
    if (log.supports.persistent) await refuses('INVALID_PAYLOAD', () => log.append('c/a', [item(1), wrong]))
    else await log.append('c/a', [item(1), wrong])
    assert.equal((await all(log.read('c/a'))).length, log.supports.persistent ? 0 : 2)
  })

  on('where the message of a key lies can be asked for, or is refused as unsupported', async (log) => {
    const [first] = await log.append('c/a', [item(1), item(2, { key: 'order' })])
    if (!log.supports.find) {
      await refuses('UNSUPPORTED', () => log.find('c', 'order'))
      return
    }
    assert.deepEqual(await log.find('c', (first as { id: string }).id), { stream: 'c/a', offset: first?.offset })
    assert.equal((await log.find('c', 'order'))?.stream, 'c/a')
    assert.equal(await log.find('c', 'nobody'), undefined)
    assert.equal(await log.find('other', 'order'), undefined)
    for (const [channel, key] of [
      ['', 'k'],
      ['c', ''],
      ['c', undefined],
    ] as [string, string][]) {
      await refuses('INVALID_OPTION', () => log.find(channel, key))
    }
  })

  on('the level is one of those that are declared, and fits what is supported', async (log) => {
    assert.ok(['memory', 'process', 'disk', 'replicated'].includes(log.level))
    assert.equal(log.supports.persistent, log.level !== 'memory')
    assert.equal(log.supports.persistent, harness.reopen !== undefined && harness.crash !== undefined)
    assert.equal(log.supports.shared, harness.another !== undefined && harness.abandon !== undefined)
    assert.ok(log.name.length > 0)
  })
}
