import { serially, timed, timedEach, Window } from '../harness/clock.ts'
import { type Data, dataOf, mustBe, Sink } from '../harness/data.ts'
import type { Contestant, Pass } from '../harness/types.ts'
import { MAILBOXES, type Mailboxes } from '../peers/mailboxes.ts'

type OnePass = (boxes: Mailboxes, sink: Sink, total: number) => Promise<Pass>

/** A pass over the mailboxes of ours and of the limit. */
function mailing(count: number, room: number, messages: number, copies: number, one: OnePass): readonly Contestant[] {
  return MAILBOXES.map(
    ({ name, kind, open }): Contestant => ({
      name,
      kind,
      open(scale) {
        const boxes = open(count, room)
        const sink = new Sink()
        const total = scale.count(messages)
        const pass = async (): Promise<Pass> => {
          const done = await one(boxes, sink, total)
          sink.verify(total, copies)
          return done
        }
        return { pass, ...(boxes.close === undefined ? {} : { close: boxes.close }) }
      },
    }),
  )
}

/** A producer and a consumer task, at most `inFlight` messages between them. Samples: from `put` until received. */
export function windowed(messages: number, inFlight: number): readonly Contestant[] {
  return mailing(1, inFlight, messages, 1, (boxes, sink, total) =>
    timedEach(total, async (samples) => {
      const window = new Window(inFlight)
      const consumed = consume(boxes, 0, total, (data) => {
        samples[data.id] = performance.now() - (samples[data.id] as number)
        sink.take(data)
        window.leave()
      })
      for (let id = 0; id < total; id++) {
        const room = window.enter()
        if (room !== undefined) await room
        samples[id] = performance.now()
        void boxes.put(0, dataOf(id))
      }
      await consumed
    }),
  )
}

/** Everything is put first, then everything is taken. */
export function enqueueThenDrain(messages: number): readonly Contestant[] {
  return mailing(1, messages, messages, 1, async (boxes, sink, total) => {
    let drainMs = 0
    const pass = await timed(total, async () => {
      const puts: (Promise<unknown> | void)[] = []
      for (let id = 0; id < total; id++) puts.push(boxes.put(0, dataOf(id)))
      await puts.at(-1)
      const startMs = performance.now()
      await consume(boxes, 0, total, (data) => sink.take(data))
      drainMs = performance.now() - startMs
    })
    return { ...pass, extra: { drainPerSecond: (total / drainMs) * 1_000 } }
  })
}

/** One task puts and receives in turn. */
export function inTurn(messages: number): readonly Contestant[] {
  return mailing(1, 1, messages, 1, (boxes, sink, total) =>
    serially(total, async (id) => {
      const put = boxes.put(0, dataOf(id))
      if (put !== undefined) await put
      sink.take(await boxes.receive(0))
    }),
  )
}

/** Each message to every one of `consumers` tasks. */
export function broadcasting(messages: number, consumers: number): readonly Contestant[] {
  return mailing(consumers, messages, messages, consumers, (boxes, sink, total) =>
    timed(total * consumers, async () => {
      const tasks = Array.from({ length: consumers }, (_, box) => consume(boxes, box, total, (data) => sink.take(data)))
      for (let id = 0; id < total; id++) void boxes.broadcast(dataOf(id))
      await Promise.all(tasks)
    }),
  )
}

/** A driver, `length` tasks that each hand on what they receive, and the driver again: one cycle at a time. */
export function chainOfTasks(length: number, cycles: number): readonly Contestant[] {
  return mailing(length + 1, 2, cycles, 1, async (boxes, sink, total) => {
    const tasks = Array.from({ length }, async (_, box) => {
      for (let left = total; left > 0; left--) {
        const put = boxes.put(box + 1, await boxes.receive(box))
        if (put !== undefined) await put
      }
    })
    const pass = await serially(total, async (id) => {
      void boxes.put(0, dataOf(id))
      const data = await boxes.receive(length)
      mustBe('message that came back', data.id, id)
      sink.take(data)
    })
    await Promise.all(tasks)
    return pass
  })
}

async function consume(boxes: Mailboxes, box: number, total: number, take: (data: Data) => void): Promise<void> {
  for (let left = total; left > 0; left--) take(await boxes.receive(box))
}
