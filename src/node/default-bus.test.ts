import { afterEach, expect, test } from 'vitest'
import { createBus } from '../bus/bus.ts'
import { closeDefaultBus, configureDefaultBus, defaultBus, setDefaultBus } from './default-bus.ts'
import { openBus } from './node.ts'

afterEach(() => closeDefaultBus())

test('[W25] the default bus is made when it is first asked for, once', async () => {
  const [one, other] = await Promise.all([defaultBus(), defaultBus()])
  expect(one).toBe(other)
  expect((await one.publish('a.b', 1)).level).toBe('memory')
})

test('[W25] what was configured before has its effect; afterwards it is refused', async () => {
  configureDefaultBus('memory:', { name: 'mine', limit: 7 })
  expect((await defaultBus()).stats()).toMatchObject({ name: 'mine', config: { limit: 7 } })
  expect(() => configureDefaultBus('memory:')).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  expect(() => setDefaultBus(createBus())).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
})

test('[W25] shutting down closes it, and the next one is made anew without what was configured', async () => {
  configureDefaultBus('memory:', { name: 'first' })
  const first = await defaultBus()
  await closeDefaultBus()
  await closeDefaultBus()
  await expect(first.publish('a.b', 1)).rejects.toMatchObject({ code: 'BUS_CLOSED' })
  expect((await defaultBus()).stats().name).toBe('bus')
})

test('[W25] a bus that was set is the default one, and stays open', async () => {
  await using bus = createBus()
  setDefaultBus(bus)
  expect(await defaultBus()).toBe(bus)
  await closeDefaultBus()
  expect((await bus.publish('a.b', 1)).level).toBe('memory')
})

test('[W25] explicit instances have nothing to do with it', async () => {
  configureDefaultBus('memory:', { name: 'mine' })
  await using own = await openBus('memory:')
  expect(own.stats().name).toBe('bus')
  expect(await defaultBus()).not.toBe(own)
})

test('[W25] a failure to open is told, and the next call tries again', async () => {
  configureDefaultBus('redis://127.0.0.1:1')
  await expect(defaultBus()).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' })
  configureDefaultBus('memory:')
  expect((await (await defaultBus()).publish('a.b', 1)).level).toBe('memory')
})
