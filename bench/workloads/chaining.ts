import { serially } from '../harness/clock.ts'
import { mustBe } from '../harness/data.ts'
import type { Contestant } from '../harness/types.ts'
import type { Chain } from '../peers/chains.ts'

/** Cycles through a chain of `length` agents, one at a time. */
export function chaining(chain: Chain, length: number, cycles: number): Contestant {
  return {
    name: chain.name,
    kind: chain.kind,
    async open(scale) {
      const { cycle, close } = await chain.open(length)
      const total = scale.count(cycles)
      const pass = () => serially(total, async (id) => mustBe('message that came back', await cycle(id), id))
      return { pass, ...(close === undefined ? {} : { close }) }
    },
  }
}
