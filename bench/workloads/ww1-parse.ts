import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parse } from '../../src/config/parser.ts'
import { createSource } from '../../src/config/source.ts'
import { largeFile } from '../../test/ww/large.ts'
import { mustBe } from '../harness/data.ts'
import type { Contestant, Pass, Workload } from '../harness/types.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export { largeFile }

/** Parses a file, looks whether it was read whole, and says how many milliseconds the parsing took. */
export function parseLarge({ text, components }: ReturnType<typeof largeFile>): number {
  const startMs = performance.now()
  const { file, diagnostics } = parse(createSource('large.ww', text))
  const ms = performance.now() - startMs
  mustBe('components that were read', file.items.length, components)
  mustBe('faults that were found', diagnostics.length, 0)
  return ms
}

function passOf(ms: number): Pass {
  return { seconds: ms / 1_000, units: 1, extra: { ms } }
}

const warm: Contestant = {
  name: 'swarmbus, warm',
  kind: 'ours',
  open() {
    const large = largeFile()
    // The machine has seen the parser at work: what a second and third file cost.
    for (let time = 0; time < 5; time++) parseLarge(large)
    return { pass: () => passOf(parseLarge(large)) }
  },
}

const SCRIPT = `const { largeFile, parseLarge } = await import('${import.meta.url}'); console.log(parseLarge(largeFile()))`

const cold: Contestant = {
  name: 'swarmbus, cold',
  kind: 'ours',
  open: () => ({
    pass() {
      const argv = ['--conditions=swarmbus-source', '--input-type=module', '--eval', SCRIPT]
      const { status, stdout, stderr } = spawnSync(process.execPath, argv, { cwd: ROOT, encoding: 'utf8' })
      mustBe(`exit code of node (${stderr.trim()})`, status, 0)
      return passOf(Number(stdout))
    },
  }),
}

/** The least that reads values out of so much text: the engine's own parser, on its own language. */
const json: Contestant = {
  name: 'JSON.parse',
  kind: 'limit',
  open() {
    const one = {
      model: 'llm',
      api_key: 'OPENAI_API_KEY',
      prompt: 'You are an agent; be brief, say "no" and use NAME',
      tools: ['tool_a', 'tool_b', 'tool_c'],
      planning: true,
      hooks: [{ event: 'agent.thought', script_path: 'hooks/a.py', function_name: 'log' }],
      env: { A: 'B', 'C-D': 'x', N: 0.75 },
    }
    const count = Math.ceil(largeFile().text.length / JSON.stringify(one).length)
    const text = JSON.stringify(
      Array.from({ length: count }, () => one),
      undefined,
      1,
    )
    return {
      pass() {
        const startMs = performance.now()
        const read = JSON.parse(text) as readonly unknown[]
        const ms = performance.now() - startMs
        mustBe('objects that were read', read.length, count)
        return passOf(ms)
      },
    }
  },
}

export const ww1: Workload = {
  id: 'WW1',
  rows: [
    {
      name: 'parse',
      work: 'a `.ww` file of 1 MB, parsed: cold, by a process that has parsed nothing before; warm, once more',
      timed:
        'from the text to the tree with its positions and faults; neither the start of the process nor reading the file',
      unit: 'files',
      main: 'ms',
      contestants: [warm, cold, json],
      bars: [
        { text: 'warm ≤ 100 ms', value: (medians) => medians.of('swarmbus, warm', 'ms'), atMost: 100 },
        { text: 'cold ≤ 100 ms', value: (medians) => medians.of('swarmbus, cold', 'ms'), atMost: 100 },
      ],
    },
  ],
}
