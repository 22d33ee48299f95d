import type { ViteUserConfig } from 'vitest/config'

const config: ViteUserConfig = {
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'scripts/**/*.test.ts'],
    pool: 'forks',
    // A test that asserts nothing cannot fail: it counts as failed.
    expect: { requireAssertions: true },
    // Memory tests call global.gc.
    execArgv: ['--expose-gc'],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['**/*.test.ts', 'src/**/index.ts'],
      reporter: ['text', 'json-summary'],
    },
  },
}

export default config
