import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Bus, openBus } from '../../src/index.ts'
import type { OpenOptions } from '../../src/node/node.ts'
import { until } from '../kept/support.ts'
import { freePort, type Server } from '../servers/server.ts'
import { cli, jsonLines, start } from './support.ts'

/** A kind of broker, for the promises of the program that are the same on each. */
export interface BrokerKind {
  readonly scheme: 'redis' | 'nats'
  start(): Promise<Server>
  /** Takes an entry of `tasks/normal` away behind the back of the log. */
  damage(server: Server, prefix: string, offset: string): Promise<void>
}

/** The promises of the program on brokers. */
export function describeCliOn(kind: BrokerKind): void {
  let server: Server
  let prefixes = 0
  beforeAll(async () => {
    server = await kind.start()
  }, 60_000)
  afterAll(() => server[Symbol.asyncDispose]())

  /** A log of its own on the one server. */
  function place(): { readonly url: string; readonly prefix: string; open(options?: OpenOptions): Promise<Bus> } {
    const prefix = `cli${++prefixes}`
    const url = `${server.url}?prefix=${prefix}`
    return { url, prefix, open: (options = {}) => openBus(url, { defaults: { retry: { attempts: 1 } }, ...options }) }
  }

  describe(`the program on ${kind.scheme}`, () => {
    test('[C73] length, groups, pending and newest entries are seen while an application works', async () => {
      const { url, open } = place()
      await using bus = await open()
      const inHand = Promise.withResolvers<void>()
      const done = Promise.withResolvers<void>()
      bus.subscribe(
        'tasks.*',
        async (message) => {
          if (message.data !== 'slow') return
          inHand.resolve()
          await done.promise
        },
        { group: 'coders', concurrency: 1 },
      )
      await bus.publish('tasks.coding', 'first', { until: 'handled' })
      await bus.publish('tasks.coding', 'slow')
      await bus.publish('tasks.coding', 'third')
      await inHand.promise
      const channels = await cli(['channels', '--url', url, '--json'])
      expect(JSON.parse(channels.out)).toMatchObject([
        { name: 'tasks', messages: 3, ledger: { published: 3, acked: 1 } },
      ])
      const groups = JSON.parse((await cli(['groups', '--url', url, '--json'])).out) as readonly {
        pending: number
        leased: number
      }[]
      expect(groups).toMatchObject([{ channel: 'tasks', group: 'coders', acked: 1, dead: 0 }])
      expect((groups[0]?.pending ?? 0) + (groups[0]?.leased ?? 0)).toBe(2)
      const newest = await cli(['tail', 'tasks.>', '--last', '2', '--no-follow', '--url', url])
      expect(newest.out).toMatch(/tasks\.coding {2}slow\n.*tasks\.coding {2}third\n$/)
      const stats = await cli(['stats', '--json'], { env: { SWARMBUS_URL: url } })
      expect(JSON.parse(stats.out)).toMatchObject({ messages: 3, groups: 1, balanced: true, gaps: [] })
      const replayed = await cli(['replay', '>', '--json', '--url', url])
      expect(jsonLines(replayed.out).map((one) => (one.message as { data: unknown }).data)).toEqual([
        'first',
        'slow',
        'third',
      ])
      expect([channels.code, newest.code, stats.code, replayed.code]).toEqual([0, 0, 0, 0])
      done.resolve()
      await bus.idle()
    })

    test('[C73] tail follows live what others publish, on channels that are new too, until Ctrl-C', async () => {
      const { url, open } = place()
      await using bus = await open()
      await bus.publish('tasks.a', 'before')
      const tail = start(['tail', '>', '--url', url])
      await tail.until('before')
      await bus.publish('tasks.b', 'during')
      await tail.until('during')
      await bus.publish('other.c', 'on a new channel')
      await tail.until('on a new channel')
      expect((await cli(['publish', 'tasks.d', 'by the program', '--url', url])).code).toBe(0)
      await tail.until('by the program')
      tail.interrupt()
      const { code, out } = await tail.done
      expect(code).toBe(0)
      expect(out.trimEnd().split('\n')).toHaveLength(4)
    })

    test('[C73] [C25] tail goes on where it was after the broker was away', async () => {
      await using own = await kind.start()
      const tail = start(['tail', '>', '--url', own.url])
      {
        await using bus = await openBus(own.url)
        await bus.publish('tasks.a', 'before')
        await tail.until('before')
      }
      await own.kill()
      await own.start()
      {
        await using bus = await openBus(own.url)
        await bus.publish('tasks.a', 'after')
        await tail.until('after')
      }
      tail.interrupt()
      const { code, out } = await tail.done
      expect(code).toBe(0)
      expect(out.trimEnd().split('\n')).toHaveLength(2)
    }, 30_000)

    test('[C22] what the program publishes is kept, handled, and leaves the duplicate window of the application as it is', async () => {
      const { url, open } = place()
      const dedupMs = 3_600_000
      await using bus = await open({ dedupMs })
      const seen: unknown[] = []
      bus.subscribe('tasks.*', ({ data }) => void seen.push(data), { group: 'g' })
      const first = await bus.publish('tasks.a', 'mine', { idempotencyKey: 'k' })
      const text = await cli(['publish', 'tasks.a', 'other', '--url', url])
      expect([text.code, text.out]).toEqual([
        0,
        expect.stringMatching(/^kept tasks\/normal:\d+ \((disk|process)\) id /),
      ])
      const again = await cli(['publish', 'tasks.a', 'mine again', '--key', 'k', '--url', url])
      expect(again.out).toMatch(new RegExp(`^was kept before tasks/normal:\\d+ .* id ${first.id}`))
      expect(await bus.publish('tasks.a', 'mine again', { idempotencyKey: 'k' })).toMatchObject({
        duplicate: true,
        id: first.id,
      })
      // And a key of the program is known to the application, on a channel that the program made.
      const made = await cli(['publish', 'fresh.a', '1', '--key', 'p', '--url', url])
      expect(made.code).toBe(0)
      expect(await bus.publish('fresh.a', 2, { idempotencyKey: 'p' })).toMatchObject({ duplicate: true })
      await until(() => seen.length === 2)
      expect(seen).toEqual(['mine', 'other'])
    })

    test('dead letters are listed, redriven and discarded beside the application in which they died', async () => {
      const { url, open } = place()
      await using bus = await open()
      let ill = true
      const seen: unknown[] = []
      bus.subscribe(
        'tasks.*',
        ({ data }) => {
          if (ill) throw new Error(`cannot do ${String(data)}`)
          seen.push(data)
        },
        { group: 'coders' },
      )
      await bus.publish('tasks.a', 'one', { until: 'handled' })
      await bus.publish('tasks.a', 'two', { until: 'handled' })
      const listed = await cli(['dead-letters', 'list', '--oldest', '--json', '--url', url])
      const ids = jsonLines(listed.out).map(({ id }) => String(id))
      expect(ids).toHaveLength(2)
      ill = false
      expect(await cli(['dead-letters', 'redrive', ids[0] ?? '', '--url', url])).toMatchObject({ code: 0, err: '' })
      await until(() => seen.length === 1)
      expect(seen).toEqual(['one'])
      expect(await cli(['dead-letters', 'discard', ids[1] ?? '', '--yes', '--url', url])).toMatchObject({ code: 0 })
      expect(await bus.deadLetters.count()).toBe(0)
      expect((await cli(['dead-letters', 'show', ids[1] ?? '', '--url', url])).code).toBe(1)
    })

    test('[C73] [C29] trim removes what is settled, and never what a group has before it or nobody has read yet', async () => {
      const { url, open } = place()
      await using bus = await open()
      const done = Promise.withResolvers<void>()
      bus.subscribe('tasks.*', ({ data }) => (Number(data) >= 3 ? done.promise : undefined), {
        group: 'g',
        concurrency: 1,
      })
      for (let n = 1; n <= 5; n++) await bus.publish('tasks.a', n)
      await until(async () => (await bus.channels())[0]?.ledger.acked === 2)
      await bus.publish('held.a', 'for whoever comes')
      const trimmed = await cli(['trim', 'tasks', '--max-count', '0', '--yes', '--json', '--url', url])
      expect([trimmed.code, JSON.parse(trimmed.out)]).toEqual([
        0,
        { channel: 'tasks', removed: 2, left: 3, lanes: { normal: 2 }, unread: [] },
      ])
      const held = await cli(['trim', 'held', '--max-count', '0', '--yes', '--url', url])
      expect([held.code, held.out]).toEqual([0, '0 messages of held removed, 1 left\n'])
      expect(held.err).toContain('no group reads normal')
      const gone = await cli(['trim', 'held', '--max-count', '0', '--unread', '--yes', '--url', url])
      expect(gone.out).toBe('1 message of held removed, 0 left\n')
      expect(await cli(['trim', 'nothing', '--max-age', '7d', '--yes', '--url', url])).toMatchObject({
        code: 1,
        err: expect.stringContaining('there is no channel "nothing"'),
      })
      const aged = await cli(['trim', 'tasks', '--max-age', '7d', '--yes', '--url', url])
      expect(aged.out).toBe('0 messages of tasks removed, 3 left\n')
      done.resolve()
      await bus.idle()
    })

    test('[C73] processes shows who is on the wire, with agents and subscriptions', async () => {
      const { url, open } = place()
      expect(await cli(['processes', '--url', url])).toMatchObject({
        code: 0,
        out: expect.stringContaining('no processes'),
      })
      await using one = await open({ name: 'harold' })
      await using two = await open({ name: 'worker' })
      one.register('pink')
      two.subscribe('tasks.*', () => undefined, { group: 'coders' })
      await Promise.all([one.ready, two.ready])
      const { code, out } = await cli(['processes', '--json', '--url', url])
      expect(code).toBe(0)
      const found = JSON.parse(out) as readonly object[]
      expect(found).toHaveLength(2)
      expect(found).toMatchObject([
        { name: 'harold', agents: [{ name: 'pink' }] },
        { name: 'worker', agents: [], subscriptions: 1 },
      ])
      const text = await cli(['processes', '--url', url])
      expect(text.out).toMatch(/harold +\d+ {2}pink \(\w+\)\n.*worker +1 {2}-\n$/)
    })

    test('doctor reads every entry, changes nothing, and finds a hole that somebody made', async () => {
      const { url, prefix, open } = place()
      const offsets: string[] = []
      {
        await using bus = await open()
        bus.subscribe('tasks.*', () => undefined, { group: 'g' })
        for (let n = 1; n <= 3; n++) {
          const { offset = '' } = await bus.publish('tasks.a', n, { until: 'handled' })
          offsets.push(offset.replace('tasks/normal:', ''))
        }
      }
      const sound = await cli(['doctor', url, '--json'])
      const report = JSON.parse(sound.out) as { settings: readonly { setting: string; value: string; says: string }[] }
      expect(report).toMatchObject({
        kind: kind.scheme,
        ok: true,
        streams: 1,
        entries: 3,
        gaps: [],
        interrupted: false,
      })
      expect(report.settings.length).toBeGreaterThan(2)
      for (const { setting, value, says } of report.settings) expect([setting, value, says].every(Boolean)).toBe(true)
      expect(sound.code).toBe(0)
      const text = await cli(['doctor', '--url', url])
      expect(text.out).toMatch(/: level (disk|process) \((redis|nats) \d+\.\d+/)
      for (const { setting } of report.settings) expect(text.out).toContain(setting)
      expect(text.out).toMatch(/for more: .*replicas/)
      expect(text.out).toContain('3 entries in 1 stream')
      expect(text.out).toContain('no holes')

      const [, second = ''] = offsets
      await kind.damage(server, prefix, second)
      const found = await cli(['doctor', url])
      expect(found.out).toContain('1 hole')
      expect(found.out).toMatch(new RegExp(`damage {2}"tasks/normal" lacks ${second} to \\d+: (lost|damaged)`))
      expect(found.code).toBe(4)
      expect(JSON.parse((await cli(['doctor', url, '--json'])).out)).toMatchObject({ ok: false, entries: 2 })
      expect((await cli(['replay', '>', '--url', url])).code).toBe(4)
    })

    test.each([['stats'], ['doctor'], ['publish', 'a', '1'], ['tail', '>']])(
      'a broker that cannot be reached is a clear failure of %s, with what to do next, and no stack',
      async (...argv) => {
        const url = `${kind.scheme}://user:hunter2@127.0.0.1:${await freePort()}`
        const { code, out, err } = await cli([...argv, '--url', url])
        expect([code, out]).toEqual([1, ''])
        expect(err).toMatch(/^swarmbus: .*127\.0\.0\.1:\d+.*\nnext: check the address and that the server runs.*\n$/)
        expect(err).not.toContain('hunter2')
        const json = await cli([...argv, '--json', '--url', url])
        expect(JSON.parse(json.err)).toMatchObject({ error: { code: 'BROKER_UNREACHABLE', exitCode: 1 } })
      },
    )
  })
}
