import { serially, timed, timedEach } from '../harness/clock.ts'
import { mustBe } from '../harness/data.ts'
import type { Contestant, Pass } from '../harness/types.ts'
import type { Asker, Asking } from '../peers/requests.ts'

/** `requests` in all, `inFlight` of them at once: each of so many callers asks again when it has its answer. With percentiles. */
export function asking(asker: Asker, requests: number, inFlight: number): Contestant {
  return contestant(asker, requests, inFlight, inFlight === 1 ? inTurn : together)
}

/** As {@link asking}, without reading the clock for each request: for rows whose figure is a rate. */
export function askingUntimed(asker: Asker, requests: number, inFlight: number): Contestant {
  return contestant(asker, requests, inFlight, untimed)
}

type OnePass = (asking: Asking, each: number, callers: number) => Promise<Pass>

function contestant(asker: Asker, requests: number, inFlight: number, one: OnePass): Contestant {
  return {
    name: asker.name,
    kind: asker.kind,
    async open(scale) {
      const each = Math.ceil(scale.count(requests) / inFlight)
      const asking = await asker.open()
      const { close } = asking
      return { pass: () => one(asking, each, inFlight), ...(close === undefined ? {} : { close }) }
    },
  }
}

function inTurn({ ask, idIn }: Asking, total: number): Promise<Pass> {
  return serially(total, async (id) => mustBe('answer', idIn(await ask(id), id), id))
}

async function together({ ask, idIn }: Asking, each: number, callers: number): Promise<Pass> {
  let answers = 0
  const pass = await timedEach(each * callers, (samples) =>
    inParallel(callers, async (caller) => {
      for (let id = caller * each; id < (caller + 1) * each; id++) {
        const startMs = performance.now()
        mustBe('answer', idIn(await ask(id), id), id)
        samples[answers++] = performance.now() - startMs
      }
    }),
  )
  mustBe('answers', answers, each * callers)
  return pass
}

async function untimed({ ask, idIn }: Asking, each: number, callers: number): Promise<Pass> {
  let answers = 0
  const pass = await timed(each * callers, () =>
    inParallel(callers, async (caller) => {
      for (let id = caller * each; id < (caller + 1) * each; id++) {
        mustBe('answer', idIn(await ask(id), id), id)
        answers++
      }
    }),
  )
  mustBe('answers', answers, each * callers)
  return pass
}

function inParallel(callers: number, one: (caller: number) => Promise<void>): Promise<unknown> {
  return Promise.all(Array.from({ length: callers }, (_, caller) => one(caller)))
}
