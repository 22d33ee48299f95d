import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { filled, folder } from '../../test/cli/support.ts'

const BIN = fileURLToPath(new URL('../../bin/swarmbus.mjs', import.meta.url))
const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))

interface Child {
  readonly process: ChildProcess
  readonly ended: Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>
  /** Resolves once the text was printed on either stream. */
  until(text: string): Promise<void>
}

function run(argv: readonly string[], env: Readonly<Record<string, string>> = {}, program: string = BIN): Child {
  const child = spawn(process.execPath, [program, ...argv], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const texts = { out: '', err: '' }
  const waiting = new Set<() => void>()
  for (const name of ['out', 'err'] as const) {
    child[`std${name}`].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text
      for (const look of waiting) look()
    })
  }
  return {
    process: child,
    ended: once(child, 'close').then(([code]) => ({ code: code as number | null, ...texts })),
    until: (text) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (texts.out.includes(text) || texts.err.includes(text)) resolve()
        }
        waiting.add(look)
        look()
      }),
  }
}

test('the bin and the main file run, with standard input and exit codes', async () => {
  const file = join(folder(), 'swarm.db')
  const writer = run(['publish', 'a', '-', '--lines', '--file', file])
  writer.process.stdin?.end('1\n2\n')
  expect(await writer.ended).toMatchObject({ code: 0, out: expect.stringMatching(/^2 messages kept/), err: '' })
  expect(await run(['replay', 'a', '--json'], { SWARMBUS_URL: `sqlite:${file}` }, MAIN).ended).toMatchObject({
    code: 0,
  })
  expect(await run(['pubish']).ended).toMatchObject({ code: 2, out: '' })
})

test('of two processes on one file the second names the first, and works when that was killed', async () => {
  const file = await filled((bus) => bus.publish('a', 'kept'))
  const holder = run(['tail', 'a', '--file', file])
  await holder.until('kept')
  const second = await run(['stats', '--file', file]).ended
  expect(second.code).toBe(3)
  expect(second.err).toContain(`held by process ${holder.process.pid}`)
  holder.process.kill('SIGKILL')
  await holder.ended
  expect((await run(['stats', '--file', file]).ended).code).toBe(0)
})

test.each(['SIGINT', 'SIGTERM'] as const)('%s ends a tail in order: the file is closed and free', async (signal) => {
  const file = await filled((bus) => bus.publish('a', 'kept'))
  const tail = run(['tail', 'a', '--file', file])
  await tail.until('kept')
  tail.process.kill(signal)
  expect(await tail.ended).toMatchObject({ code: 0, err: '' })
  const { out } = await run(['doctor', file, '--json']).ended
  expect(JSON.parse(out)).toMatchObject({ ok: true, clean: true })
})

test('Ctrl-C while it waits for somebody to type ends it', async () => {
  const file = join(folder(), 'swarm.db')
  const writer = run(['publish', 'a', '-', '--lines', '--json', '--file', file])
  writer.process.stdin?.write('1\n')
  await writer.until('a/normal:1')
  writer.process.kill('SIGINT')
  expect((await writer.ended).code).toBe(130)
})

test('a reader that goes away, as head does, ends it without a word', async () => {
  const file = await filled(async (bus) => {
    await Promise.all(Array.from({ length: 5_000 }, (_, n) => bus.publish('a', `${n}${'x'.repeat(100)}`)))
  })
  const replay = run(['replay', 'a', '--file', file])
  replay.process.stdout?.once('data', () => replay.process.stdout?.destroy())
  const { code, err } = await replay.ended
  expect([code, err]).toEqual([0, ''])
})

test('10 000 messages of 40 MB are replayed through 32 MB of heap to a reader that pauses', async () => {
  const file = await filled(async (bus) => {
    for (let n = 0; n < 10_000; n += 500) {
      await Promise.all(Array.from({ length: 500 }, (_, one) => bus.publish('a', `${n + one} ${'x'.repeat(4_000)}`)))
    }
  })
  const replay = run(['replay', 'a', '--json', '--file', file], { NODE_OPTIONS: '--max-old-space-size=32' })
  let count = 0
  let chunks = 0
  replay.process.stdout?.on('data', (text: string) => {
    for (const char of text) if (char === '\n') count++
    // The program must wait for the pipe, whenever its reader does.
    if (++chunks % 50 !== 0) return
    replay.process.stdout?.pause()
    setImmediate(() => replay.process.stdout?.resume())
  })
  const { code, out, err } = await replay.ended
  expect([code, err, count]).toEqual([0, '', 10_000])
  const last = JSON.parse(out.slice(out.lastIndexOf('\n', out.length - 2))) as { message: { data: string } }
  expect(last.message.data.startsWith('9999 ')).toBe(true)
}, 60_000)

test('--version answers at once: nothing that commands need is loaded', async () => {
  await run(['--version']).ended
  const took: number[] = []
  const bare: number[] = []
  for (let round = 0; round < 5; round++) {
    let begun = performance.now()
    expect((await run(['--version']).ended).out).toMatch(/^\d+\.\d+\.\d+\n$/)
    took.push(performance.now() - begun)
    begun = performance.now()
    await once(spawn(process.execPath, ['--eval', '0']), 'close')
    bare.push(performance.now() - begun)
  }
  // What a bare Node takes here, and how busy the machine is, are not the program's: the best of each is compared.
  expect(Math.min(...took) - Math.min(...bare)).toBeLessThan(80)
})
