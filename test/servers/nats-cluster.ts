import { setTimeout as sleep } from 'node:timers/promises'
import { startNats } from './nats.ts'
import { freePort, type Server } from './server.ts'

const PATIENCE_MS = 60_000

/** Real nats-servers that keep JetStream together. Disposal ends them all. */
export interface NatsCluster extends AsyncDisposable {
  /** Names all nodes. */
  readonly url: string
  readonly nodes: readonly Server[]
  /** Resolves when all nodes that run have caught up with their streams. */
  settled(): Promise<void>
  /** The number of the node that leads the stream; undefined while there is no leader. */
  leader(stream: string): Promise<number | undefined>
  /** True when the leader of the stream says that all its copies have everything. */
  isCopied(stream: string): Promise<boolean>
}

interface Placed {
  readonly leader?: string
  readonly replicas?: readonly { readonly current: boolean; readonly offline?: boolean; readonly lag?: number }[]
}

interface JszAccount {
  readonly stream_detail?: readonly { readonly name: string; readonly cluster?: Placed }[]
}

/** Starts so many nodes and joins them. */
export async function startNatsCluster(count = 3): Promise<NatsCluster> {
  const ports = (): Promise<number[]> => Promise.all(Array.from({ length: count }, () => freePort()))
  const [routes, monitors] = await Promise.all([ports(), ports()])
  const list = routes.map((port) => `"nats-route://127.0.0.1:${port}"`).join(', ')
  const nodes = await Promise.all(
    routes.map((port, node) =>
      startNats(
        `server_name: "n${node}"\nhttp: "127.0.0.1:${monitors[node]}"\n` +
          `cluster { name: "swarm", listen: "127.0.0.1:${port}", routes: [${list}] }`,
      ),
    ),
  )

  async function ask<T>(node: number, path: string): Promise<T | undefined> {
    try {
      const answer = await fetch(`http://127.0.0.1:${monitors[node]}/${path}`, { signal: AbortSignal.timeout(2_000) })
      return answer.ok ? ((await answer.json()) as T) : undefined
    } catch {
      return undefined
    }
  }

  async function isFine(node: number): Promise<boolean> {
    const [health, info] = await Promise.all([
      ask<{ status: string }>(node, 'healthz'),
      ask<{ meta_cluster?: { leader?: string } }>(node, 'jsz'),
    ])
    return health?.status === 'ok' && Boolean(info?.meta_cluster?.leader)
  }

  async function settled(): Promise<void> {
    const untilMs = performance.now() + PATIENCE_MS
    for (let node = 0; node < count; node++) {
      while (nodes[node]?.pid !== 0 && !(await isFine(node))) {
        if (performance.now() > untilMs) throw new Error(`node ${node} of the cluster does not settle`)
        await sleep(50)
      }
    }
  }

  /** What a node says of a stream. */
  async function placed(node: number, stream: string): Promise<Placed | undefined> {
    if (nodes[node]?.pid === 0) return undefined
    const info = await ask<{ account_details?: readonly JszAccount[] }>(node, 'jsz?streams=true')
    const streams = (info?.account_details ?? []).flatMap(({ stream_detail }) => stream_detail ?? [])
    return streams.find((one) => one.name === stream)?.cluster
  }

  async function leader(stream: string): Promise<number | undefined> {
    for (let node = 0; node < count; node++) {
      const name = (await placed(node, stream))?.leader
      if (name) return Number(name.slice(1))
    }
    return undefined
  }

  async function isCopied(stream: string): Promise<boolean> {
    const node = await leader(stream)
    const replicas = node === undefined ? [] : ((await placed(node, stream))?.replicas ?? [])
    return replicas.length === count - 1 && replicas.every((one) => one.current && !one.offline && !one.lag)
  }

  async function end(): Promise<void> {
    await Promise.all(nodes.map((server) => server[Symbol.asyncDispose]()))
  }

  try {
    await settled()
  } catch (error) {
    await end()
    throw error
  }
  return {
    url: `nats://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    nodes,
    settled,
    leader,
    isCopied,
    [Symbol.asyncDispose]: end,
  }
}
