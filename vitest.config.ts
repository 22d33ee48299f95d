import { fileURLToPath } from 'node:url'
import { configDefaults, type ViteUserConfig } from 'vitest/config'
import { missingBrokers, serverPath, skippedLine, testsThatNeed } from './scripts/brokers.mjs'

const root = fileURLToPath(new URL('.', import.meta.url))
// Workers inherit it: their servers are found wherever the check below finds them.
process.env.PATH = serverPath(process.env.PATH ?? '', process.platform)
const leftOut = missingBrokers(process.env.PATH).flatMap((broker) => {
  const files = testsThatNeed(root, broker)
  console.error(skippedLine(broker, 'it is not in PATH', files.length))
  return files
})

const config: ViteUserConfig = {
  resolve: { conditions: ['swarmbus-source'] },
  ssr: { resolve: { conditions: ['swarmbus-source'] } },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'scripts/**/*.test.ts'],
    // Left out with a line that says so, and never in CI, where the set-up fails.
    exclude: [...configDefaults.exclude, ...leftOut],
    pool: 'forks',
    // Many tests wait for servers and processes of their own: one worker would leave the second core idle.
    maxWorkers: 2,
    // A test that asserts nothing cannot fail: it counts as failed.
    // A condition is waited for as long as a busy machine may take.
    expect: { requireAssertions: true, poll: { timeout: 15_000 } },
    // Memory tests call global.gc.
    execArgv: ['--expose-gc'],
    testTimeout: 40_000,
    hookTimeout: 40_000,
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['**/*.test.ts', 'src/**/index.ts'],
      reporter: ['text', 'json-summary'],
    },
  },
}

export default config
