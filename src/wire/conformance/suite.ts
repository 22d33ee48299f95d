import assert from 'node:assert/strict'
import { isBusError } from '../../kit/errors.ts'
import type { Wire, WireOptions } from '../wire.ts'

/** One place where wires meet: a hub, a server. Disposal ends what `connect` made. */
export interface WirePlace extends AsyncDisposable {
  /** Another participant. */
  connect(options?: WireOptions): Promise<Wire>
}

/** Registers a test, as `test` of vitest or of `node:test` does; the runner limits its time. */
export type RegisterTest = (title: string, run: () => Promise<void>) => void

interface Frame {
  readonly topic: string
  readonly text: string
}

const utf8 = new TextEncoder()

/** Frames as they come; `until` resolves when so many are there. */
function collector(): {
  onFrame(topic: string, frame: Uint8Array): void
  frames: Frame[]
  until(count: number): Promise<Frame[]>
} {
  const frames: Frame[] = []
  let wake: (() => void) | undefined
  return {
    frames,
    onFrame(topic, frame) {
      frames.push({ topic, text: new TextDecoder().decode(frame) })
      wake?.()
    },
    async until(count) {
      while (frames.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      return frames
    },
  }
}

/** Registers the tests that every wire must pass. `makePlace` makes an empty place for each test. */
export function wireConformance(makePlace: () => Promise<WirePlace>, test: RegisterTest): void {
  const between = (title: string, run: (one: Wire, two: Wire, place: WirePlace) => Promise<void>): void =>
    test(title, async () => {
      await using place = await makePlace()
      await run(await place.connect(), await place.connect(), place)
    })

  between('a frame reaches every subscription of its topic, on every other wire, once', async (one, two, place) => {
    const three = await place.connect()
    const seen = [two, two, three].map((wire) => {
      const list = collector()
      return { ...list, subscription: wire.subscribe('tasks.coding', list.onFrame) }
    })
    for (const { subscription } of seen) await subscription.ready
    one.publish('tasks.coding', utf8.encode('a'))
    one.publish('tasks.coding', utf8.encode('end'))
    for (const { until } of seen) {
      assert.deepEqual(await until(2), [
        { topic: 'tasks.coding', text: 'a' },
        { topic: 'tasks.coding', text: 'end' },
      ])
    }
  })

  between('the frames of one wire arrive in the order of publishing', async (one, two) => {
    const list = collector()
    await two.subscribe('n.>', list.onFrame).ready
    const sent = Array.from({ length: 2_000 }, (_, index) => ({ topic: `n.${index % 3}`, text: String(index) }))
    for (const { topic, text } of sent) one.publish(topic, utf8.encode(text))
    assert.deepEqual(await list.until(sent.length), sent)
  })

  between(
    'patterns fit as everywhere: * one token, a last > one or more, inside a longer token neither',
    async (one, two) => {
      const patterns = ['a.*', 'a.>', '*.b', '>', 'a.b', 'a.b*', 'a.*.c']
      const lists = patterns.map(() => collector())
      for (const [index, pattern] of patterns.entries()) {
        await two.subscribe(pattern, (lists[index] as ReturnType<typeof collector>).onFrame).ready
      }
      for (const topic of ['a', 'a.b', 'a.b.c', 'x.b', 'a.b*', 'a.bc']) one.publish(topic, utf8.encode(''))
      await lists[3]?.until(6)
      // Wires may call subscriptions in any order; one more frame that all but the literal ones get settles what is under way.
      one.publish('a.z', utf8.encode(''))
      await lists[3]?.until(7)
      const topics = lists.map(({ frames }) => frames.map(({ topic }) => topic).filter((topic) => topic !== 'a.z'))
      assert.deepEqual(topics, [
        ['a.b', 'a.b*', 'a.bc'],
        ['a.b', 'a.b.c', 'a.b*', 'a.bc'],
        ['a.b', 'x.b'],
        ['a', 'a.b', 'a.b.c', 'x.b', 'a.b*', 'a.bc'],
        ['a.b'],
        ['a.b*'],
        ['a.b.c'],
      ])
    },
  )

  between('a wire does not hear itself, unless it is asked for', async (one, two, place) => {
    const echoing = await place.connect({ echo: true })
    const [silent, echoed, other] = [collector(), collector(), collector()]
    await one.subscribe('t', silent.onFrame).ready
    await echoing.subscribe('t', echoed.onFrame).ready
    await two.subscribe('t', other.onFrame).ready
    one.publish('t', utf8.encode('from one'))
    await other.until(1)
    echoing.publish('t', utf8.encode('from echoing'))
    assert.deepEqual(
      (await silent.until(1)).map(({ text }) => text),
      ['from echoing'],
    )
    assert.deepEqual(
      (await echoed.until(2)).map(({ text }) => text),
      ['from one', 'from echoing'],
    )
  })

  between('bytes arrive as they were at publishing, and every subscription has its own', async (one, two) => {
    const every = Uint8Array.from({ length: 256 }, (_, index) => index)
    const list = collector()
    const firsts: number[] = []
    const whole: Uint8Array[] = []
    for (let times = 0; times < 2; times++) {
      await two.subscribe('bytes', (_topic, frame) => {
        firsts.push(frame[0] as number)
        whole.push(frame.slice())
        frame.fill(99)
      }).ready
    }
    await two.subscribe('end', list.onFrame).ready
    const frame = every.slice()
    one.publish('bytes', frame)
    frame.fill(7)
    one.publish('bytes', new Uint8Array(0))
    one.publish('bytes', every.subarray(10, 20))
    one.publish('end', utf8.encode(''))
    await list.until(1)
    assert.deepEqual(firsts.toSorted(), [0, 0, 10, 10, undefined, undefined])
    assert.deepEqual(
      whole.map(({ length }) => length).toSorted((a, b) => a - b),
      [0, 0, 10, 10, 256, 256],
    )
    assert.deepEqual(
      whole.filter(({ length }) => length === 256).map((bytes) => [...bytes]),
      [[...every], [...every]],
    )
  })

  between('publish returns before anybody is called', async (one, two) => {
    const list = collector()
    await two.subscribe('t', list.onFrame).ready
    one.publish('t', utf8.encode('x'))
    assert.equal(list.frames.length, 0)
    await list.until(1)
  })

  test('a throwing handler costs only its own call, and is reported', async () => {
    await using place = await makePlace()
    const errors: unknown[] = []
    const one = await place.connect()
    const two = await place.connect({
      onError(error) {
        errors.push(error)
        throw new Error('from the observer')
      },
    })
    const list = collector()
    await two.subscribe('t', () => {
      throw new Error('from the handler')
    }).ready
    await two.subscribe('t', list.onFrame).ready
    one.publish('t', utf8.encode('1'))
    one.publish('t', utf8.encode('2'))
    await list.until(2)
    assert.deepEqual(
      errors.map((error) => (error as Error).message),
      ['from the handler', 'from the handler'],
    )
  })

  between('after unsubscribe nothing comes, not even what was under way', async (one, two) => {
    const [ended, going] = [collector(), collector()]
    const subscription = two.subscribe('t', ended.onFrame)
    await subscription.ready
    await two.subscribe('t', going.onFrame).ready
    one.publish('t', utf8.encode('under way'))
    assert.equal(subscription.unsubscribe(), true)
    assert.equal(subscription.unsubscribe(), false)
    one.publish('t', utf8.encode('later'))
    await going.until(2)
    assert.deepEqual(ended.frames, [])
  })

  between('a handler may end another subscription, which then gets not even the frame in hand', async (one, two) => {
    const last = collector()
    const calls = [0, 0]
    const pair = calls.map((_, index) =>
      two.subscribe('t', () => {
        calls[index]!++
        pair[1 - index]?.unsubscribe()
      }),
    )
    await two.subscribe('end', last.onFrame).ready
    for (const subscription of pair) await subscription.ready
    one.publish('t', utf8.encode('1'))
    one.publish('t', utf8.encode('2'))
    one.publish('end', utf8.encode(''))
    await last.until(1)
    assert.deepEqual(calls.toSorted(), [0, 2])
  })

  between('disposal ends the subscriptions, refuses further use, and may be called twice', async (one, two, place) => {
    const three = await place.connect()
    const [ended, going] = [collector(), collector()]
    await two.subscribe('t', ended.onFrame).ready
    await three.subscribe('t', going.onFrame).ready
    await two[Symbol.asyncDispose]()
    await two[Symbol.asyncDispose]()
    one.publish('t', utf8.encode('x'))
    await going.until(1)
    assert.deepEqual(ended.frames, [])
    assert.throws(
      () => two.publish('t', utf8.encode('x')),
      (error) => isBusError(error, 'BUS_CLOSED'),
    )
    assert.throws(
      () => two.subscribe('t', ended.onFrame),
      (error) => isBusError(error, 'BUS_CLOSED'),
    )
  })

  between('wrong topics and patterns are refused at once', async (one) => {
    for (const topic of ['', 'a..b', 'a.*', '>', 'a b']) {
      assert.throws(
        () => one.publish(topic, utf8.encode('')),
        (error) => isBusError(error, 'INVALID_TOPIC'),
        topic,
      )
    }
    for (const pattern of ['', 'a.', '>.a']) {
      assert.throws(
        () => one.subscribe(pattern, () => undefined),
        (error) => isBusError(error, 'INVALID_TOPIC'),
        pattern,
      )
    }
  })

  between('two places share nothing', async (one, two) => {
    await using elsewhere = await makePlace()
    const stranger = await elsewhere.connect()
    const [here, there] = [collector(), collector()]
    await two.subscribe('>', here.onFrame).ready
    const witness = await elsewhere.connect()
    await witness.subscribe('>', there.onFrame).ready
    one.publish('t', utf8.encode('here'))
    stranger.publish('t', utf8.encode('there'))
    assert.deepEqual(await here.until(1), [{ topic: 't', text: 'here' }])
    assert.deepEqual(await there.until(1), [{ topic: 't', text: 'there' }])
  })
}
