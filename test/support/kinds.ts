import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import { createBus } from '../../src/bus/bus.ts'
import { createCatalog } from '../../src/component/catalog.ts'
import type { KindDefinition, Terminal } from '../../src/component/kind.ts'
import { KINDS } from '../../src/component/kinds/all.ts'
import { type ComponentSpec, Reference, type Setting } from '../../src/component/spec.ts'
import { createSwarm, type Swarm } from '../../src/component/swarm.ts'

/** A terminal of a test: what is typed comes in, what is written is kept. */
export interface TestTerminal extends Terminal {
  type(line: string): void
  end(): void
  text(): string
}

/** With lines it is no person, and ends behind them unless it is `open`; without, a person types. */
export function testTerminal(lines?: readonly string[], open?: 'open'): TestTerminal {
  const waiting: string[] = [...(lines ?? [])]
  let isOver = lines !== undefined && open === undefined
  let wake = Promise.withResolvers<void>()
  let written = ''
  return {
    interactive: lines === undefined,
    async *lines() {
      for (;;) {
        const line = waiting.shift()
        if (line !== undefined) yield line
        else if (isOver) return
        else await wake.promise
      }
    },
    write(text) {
      written += text
    },
    type(line) {
      waiting.push(line)
      wake.resolve()
      wake = Promise.withResolvers()
    },
    end() {
      isOver = true
      wake.resolve()
    },
    text: () => written,
  }
}

/** A declaration: `declare('in', 'input command_line', { … }, ['agent'])`. Texts of `refs` become references. */
export function declare(
  name: string,
  kind: string,
  settings: Readonly<Record<string, Setting>> = {},
  to?: readonly string[],
): ComponentSpec {
  return { name, kind, settings, ...(to === undefined ? {} : { to }) }
}

export const ref = (name: string): Reference => new Reference(name)

/** A running swarm of declared components, with the kinds of swarmbus and those given. Ends with `await using`. */
export interface KindSwarm extends AsyncDisposable {
  readonly swarm: Swarm
  readonly told: readonly string[]
  readonly faults: unknown[]
  /** The address that a component said it listens on. */
  url(name: string): string
}

export async function startKinds(
  components: readonly ComponentSpec[],
  options: { readonly terminal?: Terminal; readonly folder?: string; readonly kinds?: readonly KindDefinition[] } = {},
): Promise<KindSwarm> {
  const bus = createBus()
  const told: string[] = []
  const faults: unknown[] = []
  const swarm = createSwarm({
    bus,
    components,
    catalog: createCatalog([...KINDS, ...(options.kinds ?? [])]),
    terminal: options.terminal ?? testTerminal([]),
    tell: (line) => void told.push(line),
    onFault: (fault) => void faults.push(fault),
    ...(options.folder === undefined ? {} : { folder: options.folder }),
  })
  const end = async (): Promise<void> => {
    await swarm.stop({ limitMs: 2_000 })
    await bus.close()
  }
  try {
    await swarm.start()
  } catch (error) {
    await end()
    throw error
  }
  return {
    swarm,
    told,
    faults,
    url(name) {
      const line = told.find((one) => one.startsWith(`"${name}"`)) ?? ''
      return /(?:http|ws):\/\/[^/\s]+/.exec(line)?.[0] ?? ''
    },
    [Symbol.asyncDispose]: end,
  }
}

/** A folder with files; it is removed at the end. */
export async function folderWith(
  files: Readonly<Record<string, string>>,
): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'swarmbus-kinds-'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text)
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** Waits until a condition holds. */
export function until(check: () => void): Promise<void> {
  return vi.waitFor(check, { timeout: 5_000, interval: 5 })
}
