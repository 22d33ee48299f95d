import type { Bus } from '../bus/bus.ts'
import { anObject, checkOption } from '../kit/check.ts'
import { BusError } from '../kit/errors.ts'
import { type OpenOptions, openBus } from './node.ts'

// The one bus of a process, for programs that hand none around. Whoever makes a bus of its own has nothing to do with it.

let made: Promise<Bus> | undefined
let owned = false
let configured: { readonly url: string | undefined; readonly options: OpenOptions } | undefined

/**
 * The default bus of this process, opened when it is first asked for: as it was configured, else as `openBus()` chooses. Asked for at the
 * same time, it is opened once; after a failure the next call tries again. Throws what `openBus` throws.
 */
export function defaultBus(): Promise<Bus> {
  if (made !== undefined) return made
  owned = true
  const opening = openBus(configured?.url, configured?.options)
  made = opening
  opening.catch(() => {
    if (made === opening) made = undefined
  })
  return opening
}

/** How the default bus is opened. Throws INVALID_OPTION once there is one: it would have no effect. */
export function configureDefaultBus(url: string | undefined, options: OpenOptions = {}): void {
  checkOption('configureDefaultBus', 'options', options, anObject)
  mustBeUnmade('configureDefaultBus')
  configured = { url, options }
}

/** Makes this bus the default one; whoever made it closes it. Throws INVALID_OPTION while there is another one. */
export function setDefaultBus(bus: Bus): void {
  checkOption('setDefaultBus', 'bus', bus, anObject)
  mustBeUnmade('setDefaultBus')
  owned = false
  made = Promise.resolve(bus)
}

/** Drains and closes the default bus if this module opened it, and forgets it with its configuration: the next one is made anew. */
export async function closeDefaultBus(): Promise<void> {
  const [bus, isOwned] = [made, owned]
  made = undefined
  configured = undefined
  if (bus === undefined || !isOwned) return
  const opened = await bus.catch(() => undefined)
  await opened?.close()
}

function mustBeUnmade(verb: string): void {
  if (made === undefined) return
  throw new BusError(
    'INVALID_OPTION',
    `${verb}: there is a default bus already; call it before the first use, or closeDefaultBus()`,
    {
      details: { owner: verb, field: 'bus', allowed: 'only before the first use' },
    },
  )
}
