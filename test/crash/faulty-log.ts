import type { Along, Delivery, Item, MessageLog, NackOptions, Settled } from '../../src/log/index.ts'

/** Where a child may be killed: before the log is asked, and when it has answered but nobody was told yet. */
export type Point =
  | `${'before' | 'after'}-${'append' | 'remember' | 'ack' | 'bury' | 'nack' | 'begin'}`
  | 'after-answer'
  | 'before-effect'
  | 'after-effect'

/** A fault that is planted on purpose: the checker must find it. */
export type Plant = 'ack-first' | 'lose-append' | 'double-death' | 'store-twice'

export interface Faults {
  at(point: Point): void
  readonly plant: Plant | undefined
  begun(delivery: Delivery): void
  settled(delivery: Delivery, as: Settled, ok: boolean): void
}

const HANDLED = '/handled'

/** A log in which a process can die, and which can be made to lie. */
export function faultyLog(log: MessageLog, faults: Faults): MessageLog {
  const { plant } = faults
  let appends = 0

  async function append(stream: string, items: readonly Item[]): ReturnType<MessageLog['append']> {
    const what = stream.endsWith(HANDLED) ? 'remember' : 'append'
    faults.at(`before-${what}`)
    if (what === 'append') appends++
    const [item] = items as readonly [Item]
    if (plant === 'lose-append' && what === 'append' && appends === 5) {
      return [{ id: item.message.id, offset: '1', stream, duplicate: false }]
    }
    if (plant === 'store-twice' && what === 'append') await log.append(stream, [{ ...item, key: false }])
    const appended = await log.append(stream, items)
    faults.at(`after-${what}`)
    return appended
  }

  function wrapped(delivery: Delivery): Delivery {
    const { type, stream, offset, message, storedAt, note, group, attempt, dueInMs, suspect } = delivery
    let early: Promise<boolean> | undefined
    if (plant === 'ack-first') early = told(delivery.settle('acked'), 'acked')
    async function told(settling: Promise<boolean>, as: Settled): Promise<boolean> {
      const ok = await settling
      faults.settled(delivery, as, ok)
      return ok
    }
    async function settle(as: Settled, along?: Along): Promise<boolean> {
      if (early !== undefined) return early
      const what = as === 'acked' ? 'ack' : 'bury'
      if (as === 'skipped') return delivery.settle(as, along)
      faults.at(`before-${what}`)
      if (plant === 'double-death' && along !== undefined) {
        await log.append(along.stream, [
          { message, key: false, ...(along.note === undefined ? {} : { note: along.note }) },
        ])
      }
      const ok = await told(delivery.settle(as, along), as)
      faults.at(`after-${what}`)
      return ok
    }
    async function nack(options?: NackOptions): Promise<boolean> {
      faults.at('before-nack')
      const ok = await delivery.nack(options)
      faults.at('after-nack')
      return ok
    }
    return {
      ...{ type, stream, offset, message, storedAt, note, group, attempt, dueInMs, suspect },
      begin() {
        faults.at('before-begin')
        faults.begun(delivery)
        return delivery.begin()?.then((held) => {
          faults.at('after-begin')
          return held
        })
      },
      settle,
      nack,
      extend: (ms) => delivery.extend(ms),
    }
  }

  return {
    ...log,
    append,
    consume(stream, group, options) {
      const source = log.consume(stream, group, options)
      return {
        async *[Symbol.asyncIterator]() {
          for await (const delivery of source) yield wrapped(delivery)
        },
      }
    },
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  }
}
