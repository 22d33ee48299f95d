import type { GraphEdge, GraphNode, SwarmGraph } from './graph.ts'
import { type Laid, layOut } from './layout.ts'

const COLOURS: Readonly<Record<string, string>> = {
  input: '#dbeafe',
  agent: '#dcfce7',
  llm: '#fef3c7',
  output: '#fae8ff',
  tool: '#ffedd5',
  memory: '#e0f2fe',
  'knowledge-base': '#e0f2fe',
}
const MARGIN = 16
const EDGE = '#64748b'

/** The same as a picture that needs nothing else: no script, no font, no other file. */
export function graphSvg(graph: SwarmGraph): string {
  const { places, width, height } = layOut(graph)
  const byName = new Map(places.map((one) => [one.node.name, one]))
  const edges = graph.edges.flatMap((edge) => {
    const [from, to] = [byName.get(edge.from), byName.get(edge.to)]
    return from === undefined || to === undefined ? [] : [edgeOf(edge, from, to)]
  })
  const size = [width + 2 * MARGIN, height + 2 * MARGIN].map(Math.ceil)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size[0]}" height="${size[1]}" viewBox="${-MARGIN} ${-MARGIN} ${size[0]} ${size[1]}" role="img" font-family="sans-serif">`,
    '<title>Components and where their output goes</title>',
    `<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0 8 4 0 8z" fill="${EDGE}"/></marker></defs>`,
    `<rect x="${-MARGIN}" y="${-MARGIN}" width="${size[0]}" height="${size[1]}" fill="#ffffff"/>`,
    ...edges,
    ...places.map(boxOf),
    '</svg>',
    '',
  ].join('\n')
}

function boxOf({ node, x, y, width, height }: Laid<GraphNode>): string {
  const middle = x + width / 2
  const fill = COLOURS[node.role] ?? '#f1f5f9'
  return [
    `<g><title>${escaped(`${node.name}: ${node.kind}, ${node.role}`)}</title>`,
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="8" fill="${fill}" stroke="#334155"/>`,
    `<text x="${middle}" y="${y + 20}" font-size="14" text-anchor="middle" fill="#0f172a">${escaped(node.name)}</text>`,
    `<text x="${middle}" y="${y + 36}" font-size="11" text-anchor="middle" fill="#475569">${escaped(node.kind)}</text></g>`,
  ].join('')
}

function edgeOf({ from: a, to: b, type }: GraphEdge, from: Laid<GraphNode>, to: Laid<GraphNode>): string {
  const style =
    type === 'uses'
      ? ' stroke-dasharray="2 4"'
      : type === 'inferred'
        ? ' stroke-dasharray="7 4" marker-end="url(#arrow)"'
        : ' marker-end="url(#arrow)"'
  const word = type === 'uses' ? 'uses' : type === 'inferred' ? 'goes to (inferred)' : 'goes to'
  return `<path d="${wayOf(from, to)}" fill="none" stroke="${EDGE}" stroke-width="1.5"${style}><title>${escaped(`${a} ${word} ${b}`)}</title></path>`
}

/** From the right side to the left one; what leads back goes around below. */
function wayOf(from: Laid<GraphNode>, to: Laid<GraphNode>): string {
  if (to.x > from.x) {
    const [x1, y1] = [from.x + from.width, from.y + from.height / 2]
    const [x2, y2] = [to.x, to.y + to.height / 2]
    const bend = (x2 - x1) / 2
    return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`
  }
  const [x1, y1] = [from.x + from.width / 2, from.y + from.height]
  const [x2, y2] = [to.x + to.width / 3, to.y + to.height]
  const low = Math.max(y1, y2) + 28
  return `M${x1} ${y1}C${x1} ${low} ${x2} ${low} ${x2} ${y2}`
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: XML allows none of them
const NO_XML = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g
const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escaped(text: string): string {
  return text.replace(NO_XML, '\ufffd').replace(/[&<>"']/g, (char) => ENTITIES[char] ?? char)
}
