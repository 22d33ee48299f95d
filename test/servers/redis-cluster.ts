import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { type RedisSettings, startRedis } from './redis.ts'
import { freePort, type Server } from './server.ts'

const SLOTS = 16_384
const PATIENCE_MS = 30_000

/** Real redis-servers in cluster mode, each a master of its share of the slots. Disposal ends them all. */
export interface RedisCluster extends AsyncDisposable {
  /** Names all nodes. */
  readonly url: string
  readonly nodes: readonly Server[]
  /** What redis-cli says to a command at a node. */
  cli(node: number, ...args: string[]): string
  /** Resolves when all nodes that run call the cluster fine. */
  settled(): Promise<void>
  /** Starts one more node, a replica of the given one. Resolves with its number when it has all that its master has. */
  addReplica(of: number): Promise<number>
}

/** Starts so many masters and joins them. */
export async function startRedisCluster(count = 3, settings: RedisSettings = {}): Promise<RedisCluster> {
  const busPorts = await Promise.all(Array.from({ length: count }, () => freePort()))
  const nodes = await Promise.all(busPorts.map(startNode))

  function startNode(busPort: number): Promise<Server> {
    return startRedis({
      ...{ 'cluster-enabled': 'yes', 'cluster-config-file': 'nodes.conf', 'cluster-node-timeout': '2000' },
      ...{ 'cluster-port': String(busPort), ...settings },
    })
  }

  function meet(node: number, busPort: number): void {
    cli(0, 'CLUSTER', 'MEET', '127.0.0.1', String(nodes[node]?.port), String(busPort))
  }

  function cli(node: number, ...args: string[]): string {
    const port = String(nodes[node]?.port)
    return execFileSync('redis-cli', ['-p', port, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  }

  async function settled(): Promise<void> {
    await until(() => nodes.every((server, node) => server.pid === 0 || isFine(node)))
  }

  function isFine(node: number): boolean {
    const info = cli(node, 'CLUSTER', 'INFO')
    return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${nodes.length}`)
  }

  async function until(fits: () => boolean): Promise<void> {
    const untilMs = performance.now() + PATIENCE_MS
    while (!fits()) {
      if (performance.now() > untilMs) throw new Error(`the cluster does not settle:\n${cli(0, 'CLUSTER', 'NODES')}`)
      await sleep(50)
    }
  }

  async function addReplica(of: number): Promise<number> {
    const busPort = await freePort()
    const node = nodes.push(await startNode(busPort)) - 1
    meet(node, busPort)
    await settled()
    cli(node, 'CLUSTER', 'REPLICATE', cli(of, 'CLUSTER', 'MYID'))
    await until(() => cli(node, 'INFO', 'replication').includes('master_link_status:up'))
    return node
  }

  async function end(): Promise<void> {
    await Promise.all(nodes.map((server) => server[Symbol.asyncDispose]()))
  }

  try {
    for (let node = 0; node < count; node++) {
      const share = (index: number): number => Math.floor((SLOTS * index) / count)
      cli(node, 'CLUSTER', 'ADDSLOTSRANGE', String(share(node)), String(share(node + 1) - 1))
      cli(node, 'CLUSTER', 'SET-CONFIG-EPOCH', String(node + 1))
      if (node > 0) meet(node, busPorts[node] ?? 0)
    }
    await settled()
  } catch (error) {
    await end()
    throw error
  }
  return {
    url: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    nodes,
    cli,
    settled,
    addReplica,
    [Symbol.asyncDispose]: end,
  }
}
