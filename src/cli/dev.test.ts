import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { cli, jsonLines } from '../../test/cli/support.ts'
import { project } from '../../test/ww/project.ts'

const BIN = fileURLToPath(new URL('../../bin/swarmbus.mjs', import.meta.url))

const MAIN = `include "parts/models.ww"
include "parts/kinds.ts"
in = input command_line {
  to: agent
  pipes: [{ event: "input.received", script_path: "parts/pipes.ts", function_name: "mark" }]
}
agent = agent llm { model: brain }
out = output console {}
`
// biome-ignore lint/suspicious/noTemplateCurlyInString: the variable is that of the file
const MODELS = 'brain = llm echo { prefix: "${GREETING}: " }\n'
const TWO = MODELS.replace(/"\$.*"/, '"two: "')
const PIPES = `import { MARK } from './mark.ts'
export function mark(payload: { input: string }) { return { ...payload, input: payload.input + MARK } }
`
const KINDS = `export const own = { kind: 'own tool', role: 'tool', summary: 's', keys: {}, make: () => ({ handle: () => undefined }) }
`
/** Its one component does not let a line go before the file \`go\` is there, and says which process took it. */
const SLOW = `import { existsSync } from 'node:fs'
const until = async (path: string) => { while (!existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 5)) }
export const slow = {
  kind: 'own slow', role: 'agent', summary: 's', keys: { mark: { type: 'text', summary: 's' } },
  make: ({ settings }: any, { folder, terminal }: any) => ({
    async handle({ data }: any) {
      terminal.write('took ' + data.input + '\\n')
      await until(folder + '/go')
      return settings.mark + ' ' + data.input
    },
  }),
}
`
const SLOW_MAIN =
  'include "slow.ts"\nin = input command_line { to: own }\nown = own slow { mark: "first", to: out }\nout = output console {}\n'

interface Dev {
  readonly process: ChildProcess
  /** Resolves when the program, and everything that holds its output, is gone. */
  readonly ended: Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>
  /** Resolves once both streams together have the text so many times. */
  until(text: string, times?: number): Promise<void>
  type(line: string): void
  err(): string
}

function dev(folder: string, ...more: readonly string[]): Dev {
  const child = spawn(process.execPath, [BIN, 'dev', folder, ...more], {
    cwd: folder,
    env: { PATH: process.env.PATH },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  onTestFinished(() => {
    try {
      process.kill(-(child.pid as number), 'SIGKILL')
    } catch {
      // Nothing of it is left.
    }
  })
  const texts = { out: '', err: '' }
  const waiting = new Set<() => void>()
  for (const name of ['out', 'err'] as const) {
    child[`std${name}`].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text
      for (const look of waiting) look()
    })
  }
  child.stdin.on('error', () => undefined)
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...texts }))
  return {
    process: child,
    ended,
    until: (text, times = 1) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (`${texts.out}\n${texts.err}`.split(text).length > times) resolve()
        }
        waiting.add(look)
        void ended.then(() => reject(new Error(`ended without "${text}": ${texts.out}${texts.err}`)))
        look()
      }),
    type: (line) => void child.stdin.write(`${line}\n`),
    err: () => texts.err,
  }
}

/** A swarm of all that a swarm can be made from, which runs and has answered. */
async function running(...more: readonly string[]): Promise<{ readonly folder: string; readonly swarm: Dev }> {
  const folder = project({
    'main.ww': MAIN,
    '.env': 'GREETING=one\n',
    'parts/models.ww': MODELS,
    'parts/pipes.ts': PIPES,
    'parts/mark.ts': "export const MARK = '!'\n",
    'parts/kinds.ts': KINDS,
  })
  const swarm = dev(folder, ...more)
  swarm.type('hello')
  await swarm.until('one: hello!')
  return { folder, swarm }
}

describe('[W88] dev starts a swarm again when it changes', () => {
  test.each([
    ['the main file', 'main.ww', MAIN.replace('model: brain', 'model: llm echo { prefix: "two: " }'), 'two: again!'],
    ['a file that it includes', 'parts/models.ww', TWO, 'two: again!'],
    ['the module of a pipe', 'parts/pipes.ts', PIPES.replace('+ MARK', "+ '?'"), 'one: again?'],
    ['what a module imports', 'parts/mark.ts', "export const MARK = '#'\n", 'one: again#'],
    ['a module with kinds', 'parts/kinds.ts', `${KINDS}// more\n`, 'one: again!'],
    ['.env', '.env', 'GREETING=two\n', 'two: again!'],
  ])('%s', async (_what, name, text, answer) => {
    const { folder, swarm } = await running()
    writeFileSync(join(folder, name), text)
    await swarm.until(`changed: ${name}, starting again`)
    await swarm.until('ready in', 2)
    swarm.type('again')
    await swarm.until(answer)
    swarm.type('exit')
    const { code, err } = await swarm.ended
    expect(code).toBe(0)
    // The one before has ended in order, and its end is told before the next one begins.
    expect(err.match(/^(?:changed|ended|bus|ready)/gm)).toEqual([
      'bus',
      'ready',
      'changed',
      'ended',
      'bus',
      'ready',
      'ended',
    ])
  })

  test('a file that an editor puts in the place of another, and functions of a tool, are seen', async () => {
    const folder = project({
      'main.ww':
        'in = input command_line { to: tool }\ntool = api functions { path: "tools.ts", to: out }\nout = output console {}\n',
      'tools.ts': "export function say(data: { input: string }) { return 'one ' + data.input }\n",
    })
    const swarm = dev(folder)
    await swarm.until('ready in')
    swarm.type('a')
    await swarm.until('one a')
    writeFileSync(
      join(folder, 'tools.ts.new'),
      "export function say(data: { input: string }) { return 'two ' + data.input }\n",
    )
    renameSync(join(folder, 'tools.ts.new'), join(folder, 'tools.ts'))
    await swarm.until('ready in', 2)
    swarm.type('b')
    await swarm.until('two b')
    swarm.process.stdin?.end()
    const { code, err } = await swarm.ended
    expect([code, err.match(/^changed.*/gm)]).toEqual([0, ['changed: tools.ts, starting again']])
  })

  test('changes that come close together are one start; what the swarm writes, packages and unread files are none', async () => {
    const { folder, swarm } = await running('--url', 'sqlite:kept.db')
    // Meanwhile nothing is looked at: afterwards all of it is there at once.
    swarm.process.kill('SIGSTOP')
    for (const name of ['kept.db-note', 'other.ww', 'notes.ts']) writeFileSync(join(folder, name), 'new')
    for (const name of ['node_modules', '.git']) {
      mkdirSync(join(folder, name))
      writeFileSync(join(folder, name, 'x.ts'), 'x')
    }
    // Touched, and the same as before.
    writeFileSync(join(folder, 'parts/kinds.ts'), KINDS)
    writeFileSync(join(folder, 'parts/models.ww'), TWO)
    writeFileSync(join(folder, 'parts/mark.ts'), "export const MARK = '#'\n")
    swarm.process.kill('SIGCONT')
    await swarm.until('ready in', 2)
    swarm.type('again')
    await swarm.until('two: again#')
    swarm.type(';')
    const { err } = await swarm.ended
    expect(existsSync(join(folder, 'kept.db'))).toBe(true)
    expect(err.match(/^changed.*/gm)).toEqual(['changed: parts/mark.ts, parts/models.ww, starting again'])
  })
})

describe('[W88] a change with errors keeps what runs', () => {
  test.each([
    ['a .ww file', 'main.ww', `${MAIN}x = nope {}\n`, /main\.ww:9:5: error: there is no kind "nope"/],
    [
      'a variable that is not set',
      'parts/models.ww',
      MODELS.replace('GREETING', 'NOBODY'),
      /models\.ww:1:29: error: .*NOBODY is not set/,
    ],
    ['the syntax of a module', 'parts/mark.ts', 'export const MARK: string = \n;', /mark\.ts:2\n[\s\S]*SyntaxError/],
    ['a module with kinds', 'parts/kinds.ts', 'throw new Error("no kinds")', /main\.ww:2:9: error: .*no kinds/],
  ])('%s', async (_what, name, broken, place) => {
    const { folder, swarm } = await running()
    writeFileSync(join(folder, name), broken)
    await swarm.until(`changed: ${name}, but it cannot start so; the swarm goes on as it was: waiting for a change`)
    expect(swarm.err()).toMatch(place)
    swarm.type('still')
    await swarm.until('one: still!')
    writeFileSync(join(folder, 'parts/pipes.ts'), PIPES.replace('+ MARK', "+ '?'"))
    writeFileSync(
      join(folder, name),
      { 'main.ww': MAIN, 'parts/models.ww': MODELS, 'parts/kinds.ts': KINDS }[name] ?? "export const MARK = '+'\n",
    )
    await swarm.until(', starting again')
    await swarm.until('ready in', 2)
    swarm.type('again')
    await swarm.until('one: again?')
    swarm.type('exit')
    expect((await swarm.ended).code).toBe(0)
  })

  test('where nothing runs yet it waits, also for a file that is missing', async () => {
    const folder = project({
      'main.ww': 'include "parts/models.ww"\nin = input command_line { to: brain }\nout = output console {}\n',
    })
    const swarm = dev(folder)
    await swarm.until('waiting for a change')
    expect(swarm.err()).toContain('main.ww:1:9: error: there is no file "parts/models.ww"')
    mkdirSync(join(folder, 'parts'))
    writeFileSync(join(folder, 'parts/models.ww'), TWO)
    await swarm.until('ready in')
    swarm.type('hello')
    await swarm.until('two: hello')
    swarm.type('exit')
    expect((await swarm.ended).code).toBe(0)
  })
})

describe('[W88] the end of dev', () => {
  test.each([
    ['the program alone', (pid: number) => process.kill(pid, 'SIGINT')],
    ['all of its processes, as a terminal tells them', (pid: number) => process.kill(-pid, 'SIGINT')],
    ['SIGTERM', (pid: number) => process.kill(pid, 'SIGTERM')],
  ])('Ctrl-C ends the swarm in order, and no process is left: %s', async (_what, interrupt) => {
    const { swarm } = await running()
    interrupt(swarm.process.pid as number)
    // A process that was left would hold the streams open.
    const { code, err } = await swarm.ended
    expect(code).toBe(0)
    expect(err).toMatch(/\nstopping: .*\nended: .*\n$/)
  })

  test('a second Ctrl-C ends both at once', async () => {
    const folder = project({ 'main.ww': SLOW_MAIN, 'slow.ts': SLOW })
    const swarm = dev(folder, '--drain', '10m')
    await swarm.until('ready in')
    swarm.type('x')
    await swarm.until('took x')
    swarm.process.kill('SIGINT')
    await swarm.until('stopping: ')
    swarm.process.kill('SIGINT')
    const { code, err } = await swarm.ended
    expect(code).toBe(130)
    expect(err).not.toContain('ended: ')
  })

  test('when it is killed itself, the swarm ends in order', async () => {
    const { swarm } = await running()
    swarm.process.kill('SIGKILL')
    expect((await swarm.ended).err).toMatch(/\nended: .*\n$/)
  })

  test('a swarm that fails is waited for, and starts with the next change', async () => {
    const folder = project({
      'main.ww': SLOW_MAIN.replace('slow.ts', 'fails.ts'),
      'fails.ts': SLOW.replace('terminal.write', 'process.exit(7); terminal.write'),
    })
    const swarm = dev(folder)
    await swarm.until('ready in')
    swarm.type('x')
    await swarm.until('the swarm ended with code 7: waiting for a change')
    writeFileSync(join(folder, 'go'), '')
    writeFileSync(join(folder, 'fails.ts'), SLOW)
    await swarm.until('changed: fails.ts, starting again')
    swarm.type('y')
    await swarm.until('first y')
    swarm.process.kill('SIGINT')
    expect((await swarm.ended).code).toBe(0)
  })

  test('the end of piped input ends it, and each line is answered once, by whichever swarm', async () => {
    const folder = project({ 'main.ww': SLOW_MAIN, 'slow.ts': SLOW })
    const swarm = dev(folder, '--drain', '10m')
    await swarm.until('ready in')
    swarm.process.stdin?.end('a\nb\nc\n')
    await swarm.until('took a')
    writeFileSync(join(folder, 'main.ww'), SLOW_MAIN.replace('first', 'second'))
    await swarm.until('starting again')
    writeFileSync(join(folder, 'go'), '')
    const { code, out } = await swarm.ended
    expect([code, out.match(/^(?:first|second).*/gm)]).toEqual([0, ['first a', 'second b', 'second c']])
  })

  test('with --json what it says are objects; what cannot be run is refused at once', async () => {
    const { folder, swarm } = await running('--json')
    writeFileSync(join(folder, 'parts/mark.ts'), "export const MARK = '#'\n")
    await swarm.until('"type":"ready"', 2)
    swarm.type('exit')
    const { out, err } = await swarm.ended
    expect(jsonLines(out)).toContainEqual({ type: 'changed', files: ['parts/mark.ts'] })
    expect(err).toBe('')
    const two = await cli(['dev', folder, '--url', 'memory:', '--file', 'x.db'])
    expect([two.code, two.err]).toEqual([2, expect.stringContaining('--url and --file name two buses')])
    const none = await cli(['dev', join(folder, 'nowhere.ww')])
    expect([none.code, none.err]).toEqual([1, expect.stringContaining('there is no file')])
  })
})
