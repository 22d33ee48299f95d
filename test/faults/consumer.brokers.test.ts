import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Server } from '../servers/server.ts'
import { child, KINDS, ledgerOf, open, placeOn } from './support.ts'

const COUNT = 200

describe.each(KINDS)('$name', ({ start }) => {
  let server: Server
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server[Symbol.asyncDispose]())

  // In its first handler the process has just been given what it holds, in the ninth it has it for a while.
  test.each([0, 8])(
    '[I4] [I15] [I14] [I6] a process that stands still in handler %i longer than its lease: others handle what it held, and it handles nothing of that when it goes on',
    async (stopsAt) => {
      const url = placeOn(server.url)
      const out = await open(url)
      for (let at = 0; at < COUNT; at++) await out.publish('work.x', at, { session: `s${at % 4}` })
      const policy = `{ defaults: { ackWaitMs: 1_000 } }`
      const slow = await child(
        url,
        policy,
        // It stops in a handler: between the look at its lease and its handler's first word a process may stop, too, and then goes on there.
        `bus.subscribe('work.x', async ({ session, data }, { signal, attempt }) => {
        say('began ' + session + ' ' + data + ' ' + attempt)
        if (data === ${stopsAt}) {
          process.kill(process.pid, 'SIGSTOP')
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
        }
        await new Promise((resolve) => setTimeout(resolve, 40))
        say((signal.aborted ? 'lost ' : 'done ') + session + ' ' + data)
      }, { group: 'g', from: 'first', concurrency: 2 })`,
      )
      await expect.poll(() => readFileSync(`/proc/${slow.pid}/stat`, 'utf8'), { timeout: 10_000 }).toContain(') T ')
      // What it said before is on its way through the pipe.
      await sleep(200)
      const said = slow.lines.length
      const began = new Set(slow.lines.filter((line) => line.startsWith('began')).map((line) => line.split(' ')[2]))
      const done = new Set(slow.lines.filter((line) => line.startsWith('done')).map((line) => line.split(' ')[2]))
      const inHand = [...began].filter((data) => !done.has(data))

      const other = await open(url, { defaults: { ackWaitMs: 1_000 } })
      const taken: { readonly session: string; readonly data: number; readonly attempt: number }[] = []
      other.subscribe(
        'work.x',
        ({ session, data }, { attempt }) =>
          void taken.push({ session: String(session), data: data as number, attempt }),
        { group: 'g' },
      )
      await expect.poll(() => taken.length, { timeout: 15_000 }).toBeGreaterThanOrEqual(COUNT - began.size)
      const ledger = () => ledgerOf(other, 'work')
      await expect
        .poll(ledger, { timeout: 10_000 })
        .toMatchObject({ published: COUNT, acked: COUNT, pending: 0, leased: 0 })
      slow.signal('SIGCONT')
      await out.publish('work.x', COUNT, { session: 's0' })
      await expect.poll(ledger, { timeout: 10_000 }).toMatchObject({ acked: COUNT + 1 })

      // What it had begun goes on: no process can be stopped in the middle of a function. Nothing else begins.
      await expect
        .poll(() => slow.lines.slice(said).filter((line) => !line.startsWith('began')).length)
        .toBeGreaterThanOrEqual(inHand.length)
      const after = slow.lines.slice(said).filter((line) => line.startsWith('began'))
      expect(after.filter((line) => line.split(' ')[2] !== String(COUNT))).toEqual([])
      // Nothing that had ended is handled again, and what had begun is another attempt.
      const numbers = taken.map(({ data }) => String(data)).filter((data) => data !== String(COUNT))
      expect(new Set(numbers).size).toBe(numbers.length)
      expect(numbers.filter((data) => began.has(data) && !inHand.includes(data)).length).toBeLessThanOrEqual(2)
      // A handler that has just begun may not be known to have: then the next one has the first attempt, too.
      const attempts = stopsAt === 0 ? [1, 2] : [2]
      for (const { data, attempt } of taken) if (inHand.includes(String(data))) expect(attempts).toContain(attempt)
      for (const session of ['s0', 's1', 's2', 's3']) {
        const own = taken.filter((one) => one.session === session).map(({ data }) => data)
        expect(own).toEqual(own.toSorted((a, b) => a - b))
      }
    },
    60_000,
  )
})
