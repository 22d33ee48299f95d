import type { LinkEvent, Watch } from '../../broker/watch.ts'
import type { Env } from '../../kit/env.ts'

/** Makes one story of what happens to the connection that publishes and to the one that listens: lost with the first, restored with the last. */
export function tellOnce(
  env: Env,
  watch: Watch,
): { readonly link: (event: LinkEvent) => void; readonly line: (event: LinkEvent) => void } {
  const down = new Set<'link' | 'line'>()
  let sinceMs = 0
  let tries = 0

  function hear(who: 'link' | 'line', event: LinkEvent): void {
    switch (event.type) {
      case 'lost':
        if (down.size === 0) {
          sinceMs = env.monotonicMs()
          tries = 0
          watch.tell(event)
        }
        down.add(who)
        break
      case 'retry':
        // While the server is away, one of the two speaks for both.
        if (who === 'link' || !down.has('link')) watch.tell({ ...event, tries: ++tries })
        break
      case 'restored':
        if (!down.delete(who) || down.size > 0) break
        watch.tell({ type: 'restored', downMs: env.monotonicMs() - sinceMs, tries: tries + 1 })
        break
      default:
        event satisfies never
    }
  }

  return { link: (event) => hear('link', event), line: (event) => hear('line', event) }
}
