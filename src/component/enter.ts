import type { Bus } from '../bus/bus.ts'
import type { Member } from './member.ts'
import type { ComponentRegistry, Registration } from './registry.ts'

/** Keeps what the registry says of a component as it is, until it is gone. */
export function enterIn(registry: ComponentRegistry, member: Member, bus: Bus): void {
  let entered: Registration | undefined
  const end = (): void => {
    entered?.end()
    entered = undefined
  }
  member.onGone = end
  member.onState = (state) => {
    if (state === 'terminated') end()
    else if (entered === undefined) {
      const { name, kind: type, routedEvents, behaviour } = member
      const { capabilities = [], concurrency: maxConcurrent } = behaviour ?? {}
      entered = registry.register({
        name,
        type,
        state,
        capabilities,
        outputs: [...routedEvents],
        ...(maxConcurrent === undefined ? {} : { maxConcurrent }),
        load() {
          const { queued = 0, running = 0 } = bus.agent(name) ?? {}
          return queued + running
        },
      })
    } else entered.update({ state })
  }
}
