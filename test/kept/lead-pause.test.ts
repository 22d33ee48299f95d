import { test } from 'vitest'
import { BROKERS } from './brokers.ts'
import { childOn } from './children.ts'
import { ledgerOf, until } from './support.ts'
const numbers = (count: number, from = 0): number[] => Array.from({ length: count }, (_, n) => from + n)
const OPTIONS = { defaults: { ackWaitMs: 1000, retry: { attempts: 3, firstDelayMs: 1, jitter: 'none' } } } as const
test.each(BROKERS)('$name', async ({ make, name }) => {
    await using store = make()
    const url = await store.url()
    await using bus = await store.open(OPTIONS)
    const paused = childOn(url, JSON.stringify(OPTIONS), `
  bus.subscribe('work.*', async ({ data }, { attempt }) => {
    say('in ' + data + ' ' + attempt)
    await sleep(300)
    say('done ' + data)
  }, { group: 'g', concurrency: 1 })
  say('ready')`)
    await paused.said('ready')
    await Promise.all(numbers(10).map((n) => bus.publish('work.a', n)))
    await paused.said('in 0')
    paused.pause()
    const handled: string[] = []
    const wait = Promise.withResolvers<void>()
    bus.subscribe('work.*', async ({ data }, { attempt }) => { handled.push(`${data} ${attempt}`); if ((data as number) >= 10) await wait.promise }, { group: 'g', concurrency: 1 })
    const t0 = performance.now()
    await until(async () => (await ledgerOf(bus)).acked === 10, 'the ten')
    console.log(name, 'ten after', performance.now() - t0, handled.join())
    paused.resume()
    await paused.said('done 0')
    await Promise.all(numbers(10, 10).map((n) => bus.publish('work.a', n)))
    for (let i = 0; i < 3; i++) { await new Promise((r) => setTimeout(r, 1000)); console.log(name, i, paused.lines.join(), '|', handled.join(), JSON.stringify(await ledgerOf(bus))) }
    wait.resolve()
}, 100000)
