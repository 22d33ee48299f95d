import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { mustBe } from '../harness/data.ts'
import type { Contestant, Pass, Work, Workload } from '../harness/types.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Says which files an import loads, one a line. */
const LISTING = `import { registerHooks } from 'node:module'
registerHooks({ load(url, context, next) { console.log(url); return next(url, context) } })
`

function node(args: readonly string[]): string {
  // A user's first start has no compiled modules to fall back on.
  const { NODE_COMPILE_CACHE: _, ...env } = process.env
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8', env })
  mustBe(`exit code of node (${stderr.trim()})`, status, 0)
  return stdout
}

function start(args: readonly string[]): Pass {
  const startMs = performance.now()
  node(args)
  const ms = performance.now() - startMs
  return { seconds: ms / 1_000, units: 1, extra: { ms } }
}

/** Starts of a fresh process that does nothing but import what `prepare` names. */
function starting(
  name: string,
  kind: Contestant['kind'],
  prepare: () => { url: string | undefined; end?: () => void },
): Contestant {
  return {
    name,
    kind,
    open(): Work {
      const { url, end } = prepare()
      const flags = ['--conditions=swarmbus-source', '--input-type=module']
      if (url !== undefined) mustBe('files of node_modules that the import loads', thirdParty(url).join(', '), '')
      const script =
        url === undefined ? '' : `const { createBus } = await import('${url}'); if (!createBus) process.exit(1)`
      return { pass: () => start([...flags, '--eval', script]), close: () => end?.() }
    },
  }
}

function thirdParty(url: string): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  try {
    const file = join(folder, 'list.mjs')
    writeFileSync(file, LISTING)
    const files = node([
      '--conditions=swarmbus-source',
      '--import',
      pathToFileURL(file).href,
      '--input-type=module',
      '--eval',
      `import '${url}'`,
    ])
      .split('\n')
      .filter((line) => line.startsWith('file:'))
    mustBe('whether the import loads files of its own', files.length > 1, true)
    return files.filter((line) => line.includes('/node_modules/'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The package as users get it, compiled into a folder of its own. */
function built(): { url: string; end: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'bench-dist-'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  compile(folder)
  return { url: pathToFileURL(join(folder, 'index.js')).href, end: () => rmSync(folder, { recursive: true }) }
}

function compile(folder: string): void {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  node([
    tsc,
    '-p',
    join(ROOT, 'tsconfig.build.json'),
    '--outDir',
    folder,
    '--tsBuildInfoFile',
    join(folder, 'info.json'),
    '--noCheck',
  ])
}

/** Runs of the program as it is installed, with an empty standard input, until their end. */
function running(name: string, args: (folder: string) => readonly string[], says: string): Contestant {
  return {
    name,
    kind: 'ours',
    open(): Work {
      const folder = mkdtempSync(join(tmpdir(), 'bench-cli-'))
      for (const one of ['package.json', 'bin', 'scripts'])
        cpSync(join(ROOT, one), join(folder, one), { recursive: true })
      symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
      mkdirSync(join(folder, 'dist'))
      compile(join(folder, 'dist'))
      const argv = [join(folder, 'bin/swarmbus.mjs'), ...args(folder)]
      return {
        pass() {
          const startMs = performance.now()
          const { status, stdout, stderr } = spawnSync(process.execPath, argv, {
            cwd: folder,
            encoding: 'utf8',
            input: '',
          })
          const ms = performance.now() - startMs
          mustBe(`exit code of the program (${stderr.trim()})`, status, 0)
          mustBe(`whether it says "${says}"`, `${stdout}${stderr}`.includes(says), true)
          return { seconds: ms / 1_000, units: 1, extra: { ms } }
        },
        close: () => rmSync(folder, { recursive: true }),
      }
    },
  }
}

export const p11: Workload = {
  id: 'P11',
  rows: [
    {
      name: 'import',
      work: "a fresh node that does import 'swarmbus', as built",
      timed:
        'start of a process until its end; “bare node” does the same without an import, so the import costs the difference',
      unit: 'starts',
      main: 'ms',
      contestants: [
        starting('swarmbus', 'ours', built),
        starting('from the source, types stripped', 'ours', () => ({ url: 'swarmbus' })),
        starting('bare node', 'limit', () => ({ url: undefined })),
      ],
      bars: [
        {
          text: '≤ 40 ms beyond a bare node',
          value: (medians) => medians.of('swarmbus', 'ms') - medians.of('bare node', 'ms'),
          atMost: 40,
        },
      ],
    },
    {
      name: 'up',
      work: '`swarmbus --version`, and `swarmbus up` of a file with input, agent, model and output that reads nothing, as built',
      timed: 'start of a process until its end; that of `up` is a little longer than the time until it is ready',
      unit: 'starts',
      main: 'ms',
      contestants: [
        running('swarmbus up', () => ['up', join(ROOT, 'examples/ww/chain')], 'ready in'),
        running('swarmbus --version', () => ['--version'], '0.'),
      ],
      bars: [
        { text: 'up ≤ 1 s', value: (medians) => medians.of('swarmbus up', 'ms'), atMost: 1_000 },
        { text: '--version ≤ 120 ms', value: (medians) => medians.of('swarmbus --version', 'ms'), atMost: 120 },
      ],
    },
  ],
}
