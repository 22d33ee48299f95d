// What users need to test their own agents: `import … from 'swarmbus/testing'`.

export { type FakeEnv, type FakeEnvOptions, fakeEnv } from './fake-env.ts'
