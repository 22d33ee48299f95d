/** What is laid out: things with names, and which leads to which. */
export interface Layable<N extends { readonly name: string; readonly kind: string }> {
  readonly nodes: readonly N[]
  readonly edges: readonly { readonly from: string; readonly to: string }[]
}

/** A box with its place. */
export interface Laid<N> {
  readonly node: N
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

const HEIGHT = 46
const ACROSS = 64
const DOWN = 22
/** Of a letter, on average, in the font of a browser; a little more than less. */
const LETTER = 8.4
/** Passes over the layers, each in the other direction: more of them change little. */
const PASSES = 6

/** Puts nodes into layers from left to right, each behind what leads to it, and neighbours near each other. */
export function layOut<N extends { readonly name: string; readonly kind: string }>({
  nodes,
  edges,
}: Layable<N>): { readonly places: readonly Laid<N>[]; readonly width: number; readonly height: number } {
  const layerOf = layersOf(nodes, edges)
  const layers: N[][] = []
  for (const node of nodes) {
    const layer = layerOf.get(node.name) ?? 0
    while (layers.length <= layer) layers.push([])
    layers[layer]?.push(node)
  }
  sortLayers(layers, edges)
  const tallest = Math.max(0, ...layers.map((layer) => layer.length))
  const height = Math.max(0, tallest * (HEIGHT + DOWN) - DOWN)
  const places: Laid<N>[] = []
  let x = 0
  for (const layer of layers) {
    const width = Math.max(
      0,
      ...layer.map(({ name, kind }) => Math.ceil(Math.max(name.length, kind.length * 0.8) * LETTER) + 28),
    )
    const top = (height - (layer.length * (HEIGHT + DOWN) - DOWN)) / 2
    for (const [index, node] of layer.entries()) {
      places.push({ node, x, y: top + index * (HEIGHT + DOWN), width, height: HEIGHT })
    }
    x += width + ACROSS
  }
  // What leads back goes around below the lowest box.
  return { places, width: Math.max(0, x - ACROSS), height: height + 28 }
}

/** The longest way to each node; an edge that closes a circle does not count. */
function layersOf(
  nodes: readonly { readonly name: string }[],
  edges: readonly { readonly from: string; readonly to: string }[],
): ReadonlyMap<string, number> {
  const next = new Map<string, string[]>()
  for (const { from, to } of edges) next.set(from, [...(next.get(from) ?? []), to])
  const order: string[] = []
  const state = new Map<string, 'open' | 'done'>()
  const forward = new Map<string, string[]>()
  for (const { name } of nodes) {
    if (state.has(name)) continue
    const path: { readonly name: string; at: number }[] = [{ name, at: 0 }]
    state.set(name, 'open')
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const to = next.get(top.name)?.[top.at++]
      if (to === undefined) {
        state.set(top.name, 'done')
        order.push(top.name)
        path.pop()
      } else if (state.get(to) !== 'open') {
        forward.set(top.name, [...(forward.get(top.name) ?? []), to])
        if (!state.has(to)) {
          state.set(to, 'open')
          path.push({ name: to, at: 0 })
        }
      }
    }
  }
  const layers = new Map(nodes.map(({ name }) => [name, 0]))
  for (const name of order.reverse()) {
    const own = layers.get(name) ?? 0
    for (const to of forward.get(name) ?? []) layers.set(to, Math.max(layers.get(to) ?? 0, own + 1))
  }
  return layers
}

/** Each node near the middle of its neighbours in the layer before, then in the layer behind. */
function sortLayers<N extends { readonly name: string }>(
  layers: N[][],
  edges: readonly { readonly from: string; readonly to: string }[],
): void {
  const neighbours = new Map<string, string[]>()
  for (const { from, to } of edges) {
    neighbours.set(from, [...(neighbours.get(from) ?? []), to])
    neighbours.set(to, [...(neighbours.get(to) ?? []), from])
  }
  for (let pass = 0; pass < PASSES; pass++) {
    const order = pass % 2 === 0 ? layers.keys() : [...layers.keys()].reverse()
    for (const index of order) {
      const beside = layers[index + (pass % 2 === 0 ? -1 : 1)]
      const layer = layers[index]
      if (beside === undefined || layer === undefined) continue
      const at = new Map(beside.map(({ name }, place) => [name, place]))
      const middle = new Map(
        layer.map(({ name }, place) => {
          const places = (neighbours.get(name) ?? []).flatMap((one) => at.get(one) ?? [])
          const sum = places.reduce((total, one) => total + one, 0)
          return [name, places.length === 0 ? place : sum / places.length] as const
        }),
      )
      layer.sort((a, b) => (middle.get(a.name) ?? 0) - (middle.get(b.name) ?? 0))
    }
  }
}
