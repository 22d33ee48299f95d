import type { KeyRule, KindDefinition } from '../../kind.ts'
import { defineKind, missingKind } from '../define.ts'
import { netKeys } from '../net/keys.ts'
import { settingsOf } from '../settings.ts'
import { componentServer } from './server.ts'

/** Keys that say where things run. */
const KEYS: Readonly<Record<string, KeyRule>> = {
  message_bus: { type: 'any', summary: 'the bus: its kind with settings, the name of one, or an address' },
  environment: { type: 'any', summary: 'variables of its containers; nothing is started here' },
  components: { type: 'any', summary: 'which components run there' },
}

const SERVER_KEYS: Readonly<Record<string, KeyRule>> = {
  ...netKeys(43_001),
  timeout: { type: 'duration', min: 0.001, default: 60, summary: 'how long a component may take for an answer' },
}

const ALWAYS: Readonly<Record<string, KeyRule>> = {
  health_checks: { type: 'flag', default: true, summary: '`GET /health`', noEffect: 'it is always there' },
  component_discovery: { type: 'flag', default: true, summary: '`GET /components`', noEffect: 'it is always there' },
}

const LISTED: KeyRule = {
  type: 'references',
  summary: 'the components that are served; without it all that can be asked',
}

const DEPLOYMENT_SERVER: KindDefinition = defineKind({
  kind: 'deployment server',
  role: 'deployment',
  summary: 'serves components over HTTP from this process',
  keys: { ...KEYS, ...SERVER_KEYS, ...ALWAYS, components: LISTED },
  make: (spec, context) => componentServer(spec, settingsOf(spec, DEPLOYMENT_SERVER), context),
})

const VM_SERVER: KindDefinition = defineKind({
  kind: 'vm server',
  role: 'vm',
  summary: 'serves the components it lists over HTTP',
  keys: { ...SERVER_KEYS, components: { ...LISTED, required: true } },
  make: (spec, context) => componentServer(spec, settingsOf(spec, VM_SERVER), context),
})

/** Where components run. */
export const DEPLOYMENT_KINDS: readonly KindDefinition[] = [
  defineKind({
    kind: 'deployment local',
    role: 'deployment',
    summary: 'everything runs in this process',
    keys: KEYS,
    make: () => ({}),
  }),
  DEPLOYMENT_SERVER,
  missingKind({
    kind: 'deployment docker',
    role: 'deployment',
    summary: 'each component runs in a container',
    keys: {
      ...KEYS,
      image: { type: 'text', summary: 'the image of its containers' },
      ports: { type: 'block', summary: 'ports of its containers' },
    },
    unavailable:
      'swarmbus does not start containers yet: use `deployment local` or `deployment server`, in a container of your own if need be',
  }),
  missingKind({
    kind: 'deployment cloud',
    role: 'deployment',
    summary: 'components run elsewhere, joined by the bus',
    keys: KEYS,
    unavailable:
      'swarmbus does not start machines yet: run the file by `deployment local` on each machine, with the address of one broker as `message_bus`',
  }),
  VM_SERVER,
]
