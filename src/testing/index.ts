// What users need to test their own agents: `import … from 'swarmbus/testing'`.

export { type FakeEnv, type FakeEnvOptions, fakeEnv } from './fake-env.ts'
export { type Recorder, type RecorderOptions, recorder } from './recorder.ts'
export { type TestBus, type TestBusOptions, testBus } from './test-bus.ts'
