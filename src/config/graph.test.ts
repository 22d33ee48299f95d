import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { load } from '../../test/ww/project.ts'
import { graphMermaid, graphOf, graphText, type SwarmGraph } from './graph.ts'
import { graphSvg } from './graph-svg.ts'
import { layOut } from './layout.ts'

const TEXT = `in = input command_line {}
agent = agent llm { model: llm echo { prefix: $KEY }, memory: notes, to: [out, other] }
notes = memory short_term {}
out = output console {}
other = output console { prefix: "secret-prefix" }`

async function drawn(): Promise<SwarmGraph> {
  return graphOf((await load(TEXT, { environment: { KEY: 'hunter2hunter2' } })).plan)
}

test('a graph has every component, where its output goes, whether that was inferred, and what it uses', async () => {
  const { nodes, edges } = await drawn()
  expect(nodes.map(({ name, kind, role }) => `${name}/${kind}/${role}`)).toEqual([
    'in/input command_line/input',
    'agent-model/llm echo/llm',
    'agent/agent llm/agent',
    'notes/memory short_term/memory',
    'out/output console/output',
    'other/output console/output',
  ])
  expect(edges.map(({ from, to, type }) => `${from} ${type} ${to}`)).toEqual([
    'in inferred agent',
    'agent declared out',
    'agent declared other',
    'agent uses agent-model',
    'agent uses notes',
  ])
})

test('text, Mermaid and SVG show names and kinds, and no setting', async () => {
  const graph = await drawn()
  const all = [graphText(graph), graphMermaid(graph), graphSvg(graph)]
  for (const text of all) {
    expect(text).not.toMatch(/hunter2|secret-prefix/)
    for (const name of ['in', 'agent-model', 'notes', 'other']) expect(text).toContain(name)
  }
  expect(all[0]).toContain('agent  (agent llm)\n  uses agent-model, notes\n  → out\n  → other\n')
  expect(all[1]).toContain('n0 -. inferred .-> n2\n  n2 --> n4\n')
})

test('a swarm without an output is drawn with the built-in console', async () => {
  const { plan } = await load('in = input command_line {}\nagent = agent llm { model: llm echo {} }')
  expect(graphOf(plan).nodes.at(-1)).toEqual({ name: 'console', kind: 'built in', role: 'output' })
})

test('an empty swarm has drawings, too', async () => {
  const graph = graphOf((await load('')).plan)
  expect([graphText(graph), graphMermaid(graph)]).toEqual(['no components', 'flowchart LR'])
  expect(graphSvg(graph)).toMatch(/^<svg [\s\S]*<\/svg>\n$/)
})

/** Graphs of any shape, with names that want to break out. */
const graphs = fc.array(fc.string({ minLength: 1, maxLength: 12 }), { maxLength: 12 }).chain((names) => {
  const unique = [...new Set(names)]
  const name = fc.constantFrom(...(unique.length === 0 ? ['x'] : unique))
  const edge = fc.record({ from: name, to: name, type: fc.constantFrom('declared', 'inferred', 'uses') })
  return fc.record({
    nodes: fc.constant(unique.map((one) => ({ name: one, kind: `<${one}>&"'`, role: 'agent' }))),
    edges: unique.length === 0 ? fc.constant([]) : fc.array(edge, { maxLength: 30 }),
  })
}) as fc.Arbitrary<SwarmGraph>

describe('whatever a graph holds', () => {
  test('no two boxes overlap, and all lie inside of the picture', () => {
    fc.assert(
      fc.property(graphs, (graph) => {
        const { places, width, height } = layOut(graph)
        expect(places).toHaveLength(graph.nodes.length)
        for (const [index, one] of places.entries()) {
          expect(one.x >= 0 && one.y >= 0 && one.x + one.width <= width && one.y + one.height <= height).toBe(true)
          for (const other of places.slice(index + 1)) {
            const apart =
              one.x + one.width <= other.x ||
              other.x + other.width <= one.x ||
              one.y + one.height <= other.y ||
              other.y + other.height <= one.y
            expect(apart).toBe(true)
          }
        }
      }),
      { numRuns: 200 },
    )
  })

  test('what is drawn stays text: neither SVG nor Mermaid can be broken out of', () => {
    fc.assert(
      fc.property(graphs, (graph) => {
        const svg = graphSvg(graph)
        const tags = [...svg.matchAll(/<\/?([a-zA-Z]+)/g)].map(([, tag]) => tag ?? '')
        expect(tags.filter((tag) => !/^(svg|title|defs|marker|path|rect|g|text)$/.test(tag))).toEqual([])
        expect(svg.match(/<text/g)?.length ?? 0).toBe(2 * graph.nodes.length)
        for (const line of graphMermaid(graph)
          .split(/\n(?= {2}n\d|$)/)
          .slice(1)) {
          expect(line.match(/"/g)?.length ?? 0).toBe(line.includes('"') ? 2 : 0)
        }
      }),
      { numRuns: 200 },
    )
  })
})

test('five thousand components in a chain are laid out within a second or two', () => {
  const nodes = Array.from({ length: 5_000 }, (_, n) => ({ name: `n${n}`, kind: 'k' }))
  const edges = nodes.slice(1).map(({ name }, index) => ({ from: `n${index}`, to: name }))
  const before = performance.now()
  expect(layOut({ nodes, edges }).places.at(-1)?.node.name).toBe('n4999')
  expect(performance.now() - before).toBeLessThan(5_000)
})
