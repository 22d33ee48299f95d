import { expect, test } from 'vitest'
import {
  agentTopic,
  type Bus,
  BusError,
  createBus,
  defineTopic,
  matchesTopic,
  parsePattern,
  parseTopic,
} from '../src/index.ts'
import { fakeEnv } from '../src/testing/index.ts'
import { faultIn, faultOf, rig } from './origins/support/woodwork.ts'
import { handler, loose, NO_OBJECT, type Table, verbs } from './origins/support/woodwork-input.ts'

/** What is wrong with the refusal of a wrong option; empty when nothing is. */
function optionFault(fault: BusError, field: string): string {
  const { code, details } = fault
  if (code !== 'INVALID_OPTION' && code !== 'INVALID_MESSAGE') return `has code ${code}`
  const named = String(details.field ?? '')
  if (named !== field && !named.startsWith(`${field}.`)) return `names the field "${named}"`
  if (details.allowed === undefined || details.allowed === '') return 'does not say what is allowed'
  if (!fault.message.includes(named.split('.').at(-1) as string)) return 'does not name the field in its text'
  return ''
}

/** The refusal of an unknown option names those there are: all of them must be in the table of wrong values. */
function unlistedOptions(fault: BusError, table: Table): string[] {
  if (optionFault(fault, 'noSuchOption') !== '') return [`noSuchOption ${optionFault(fault, 'noSuchOption')}`]
  const known = String(fault.details.allowed).replace(/^one of the options /, '')
  return known
    .split(', ')
    .flatMap((one) => (Object.hasOwn(table, one) ? [] : [`"${one}" is not in the table of this test`]))
}

const shown = (value: unknown): string => (JSON.stringify(value) ?? String(value)).slice(0, 60)

/** The bus works as before the refusals. */
async function works(bus: Bus, before: string): Promise<void> {
  expect(figures(bus)).toBe(before)
  const seen: unknown[] = []
  const probe = bus.subscribe('probe', ({ data }) => void seen.push(data))
  await bus.publish('probe', 'still here', { until: 'handled' })
  probe.unsubscribe()
  expect(seen).toEqual(['still here'])
}

function figures(bus: Bus): string {
  const { ledger, subscriptions, agents, messages, refused, failures, queued, streams, requests, config, state } =
    bus.stats()
  const { pending } = requests
  const queues = bus.snapshot().queues.map(({ name }) => name)
  return JSON.stringify({
    ledger,
    subscriptions,
    agents,
    messages,
    refused,
    failures,
    queued,
    streams,
    pending,
    config,
    state,
    queues,
  })
}

const NAMES = (() => {
  const bus = createBus({ env: fakeEnv() })
  const { throwing, rejecting } = verbs(bus)
  return { throwing: Object.keys(throwing), rejecting: Object.keys(rejecting) }
})()

test.each(NAMES.throwing)('%s refuses every wrong option at once and changes nothing', async (verb) => {
  await using r = rig()
  const { bus } = r
  const [call, table] = verbs(bus).throwing[verb]!
  const before = figures(bus)
  const faults: string[] = []
  const wrong = Object.entries(table).flatMap(([field, values]) => values.map((value) => [field, value] as const))
  try {
    call({ noSuchOption: 1 })
    faults.push('noSuchOption is accepted')
  } catch (error) {
    faults.push(...unlistedOptions(error as BusError, table))
  }
  for (const [field, value] of wrong) {
    try {
      call({ [field]: value })
      faults.push(`${field} ${shown(value)} is accepted`)
    } catch (error) {
      const fault = error instanceof BusError ? optionFault(error, field) : `throws ${String(error)}`
      if (fault !== '') faults.push(`${field} ${shown(value)} ${fault}`)
    }
  }
  for (const options of NO_OBJECT) {
    try {
      call(options)
      faults.push(`options ${shown(options)} are accepted`)
    } catch (error) {
      if (!(error instanceof BusError)) faults.push(`options ${shown(options)} throw ${String(error)}`)
    }
  }
  expect(faults).toEqual([])
  await works(bus, before)
})

test.each(NAMES.rejecting)('%s never throws: it rejects for every wrong option and changes nothing', async (verb) => {
  await using r = rig()
  const { bus, env } = r
  const [call, table] = verbs(bus).rejecting[verb]!
  const before = figures(bus)
  const faults: string[] = []
  const refusal = async (options: unknown): Promise<BusError | string> => {
    let outcome: Promise<BusError | string>
    try {
      outcome = call(options).then(
        () => 'is accepted',
        (error: unknown) => (error instanceof BusError ? error : `rejects with ${String(error)}`),
      )
    } catch (error) {
      return `throws ${String(error)}`
    }
    return Promise.race([outcome, env.settle().then(() => 'is neither accepted nor refused')])
  }
  const unknown = await refusal({ noSuchOption: 1 })
  faults.push(...(typeof unknown === 'string' ? [`noSuchOption ${unknown}`] : unlistedOptions(unknown, table)))
  for (const [field, values] of Object.entries(table)) {
    for (const value of values) {
      const refused = await refusal({ [field]: value })
      const fault = typeof refused === 'string' ? refused : optionFault(refused, field)
      if (fault !== '') faults.push(`${field} ${shown(value)} ${fault}`)
    }
  }
  for (const options of NO_OBJECT) {
    const refused = await refusal(options)
    if (typeof refused === 'string') faults.push(`options ${shown(options)}: ${refused}`)
  }
  expect(faults).toEqual([])
  await works(bus, before)
})

const WRONG_TOPICS: readonly (readonly [topic: unknown, token: string | undefined, index: number | undefined])[] = [
  ['', undefined, undefined],
  ['a..b', '', 1],
  ['.a', '', 0],
  ['a.', '', 1],
  ['a b', 'a b', 0],
  ['a.b\n', 'b\n', 1],
  ['a.\u0000.c', '\u0000', 1],
  ['a.*', '*', 1],
  ['>', '>', 0],
  ['a.>.b', '>', 1],
  ['x'.repeat(257), undefined, undefined],
  [Array.from({ length: 17 }, () => 'a').join('.'), undefined, undefined],
  [5, undefined, undefined],
  [null, undefined, undefined],
  [undefined, undefined, undefined],
  [{}, undefined, undefined],
  [[], undefined, undefined],
]

test.each(WRONG_TOPICS)(
  'the topic %j is refused everywhere, and the offending token is named',
  async (topic, token, index) => {
    await using r = rig()
    const { bus } = r
    const given = topic as string
    bus.subscribe('>', handler)
    const before = figures(bus)
    const faults = [
      faultIn(() => parseTopic(given)),
      faultIn(() => matchesTopic('a', given)),
      faultIn(() => bus.subscribers(given)),
      faultIn(() => defineTopic(given, { '~standard': { version: 1, vendor: 'x', validate: (value) => ({ value }) } })),
      await faultOf(bus.publish(given, 1)),
      await faultOf(bus.request(given, 1)),
      await faultOf(bus.requestAll([[given, 1]])),
      await faultOf(bus.requestMany(given, 1).next()),
      await faultOf(bus.requestStream(given, 1)[Symbol.asyncIterator]().next()),
    ]
    for (const fault of faults) {
      expect(fault.code).toBe('INVALID_TOPIC')
      if (index === undefined) continue
      expect(fault.details).toMatchObject({ token, index })
      expect(fault.message).toContain(`token ${index + 1}`)
    }
    await works(bus, before)
  },
)

test.each(['a..b', '>.a', 'a.>.b', 'a b', '', 5, null, undefined, {}, 'x'.repeat(257), ['a', 'b..c'], [5]])(
  'the pattern %j is refused when subscribing and leaves nothing',
  async (given) => {
    await using r = rig()
    const { bus } = r
    const pattern = given as string
    const agent = bus.register('worker')
    const session = bus.session('s')
    const before = figures(bus)
    if (!Array.isArray(given)) expect(faultIn(() => parsePattern(pattern)).code).toBe('INVALID_TOPIC')
    for (const run of [
      () => bus.subscribe(pattern, handler),
      () => bus.subscribe(pattern, handler, { group: 'g' }),
      () => bus.inbox(pattern),
      () => agent.subscribe(pattern, handler),
      () => session.subscribe(pattern, handler),
      () => session.inbox(pattern),
    ]) {
      expect(['INVALID_TOPIC', 'INVALID_OPTION']).toContain(faultIn(run).code)
    }
    expect(faultIn(() => bus.subscribe([], handler)).details).toMatchObject({ field: 'pattern' })
    await works(bus, before)
  },
)

test('wrong names, handlers, counts and messages are refused by every other verb', async () => {
  await using r = rig()
  const { bus } = r
  const agent = bus.register('worker')
  const before = figures(bus)
  const of = loose(bus)
  for (const name of [5, '', null, undefined, {}, 'a..b', 'a b', '*', '>']) {
    for (const verb of ['register', 'declare'])
      expect(['INVALID_OPTION', 'INVALID_TOPIC']).toContain(faultIn(() => of[verb]?.(name)).code)
    expect(faultIn(() => agentTopic(name as string)).code).toMatch(/^INVALID_/)
    expect((await faultOf(of.send?.(name, 1) as Promise<unknown>)).code).toMatch(/^(INVALID_|UNKNOWN_AGENT)/)
    expect((await faultOf(of.send?.(['worker', name], 1) as Promise<unknown>)).code).toMatch(
      /^(INVALID_|UNKNOWN_AGENT)/,
    )
  }
  expect((await faultOf(bus.send([], 1))).details).toMatchObject({ field: 'agent' })
  expect(faultIn(() => bus.register('worker')).code).toBe('AGENT_EXISTS')
  for (const wrong of [undefined, null, 'f', {}]) {
    expect(faultIn(() => of.subscribe?.('t', wrong)).details).toMatchObject({ field: 'handler' })
    expect(faultIn(() => of.use?.(wrong)).details).toMatchObject({ field: 'middleware' })
    expect(faultIn(() => of.respond?.(wrong, 1)).details).toMatchObject({ field: 'request' })
  }
  for (const wrong of [-1, 1.5, '5', null]) {
    for (const verb of ['history', 'failures'])
      expect(faultIn(() => of[verb]?.(wrong)).details).toMatchObject({ field: 'count' })
  }
  for (const wrong of [5, '', null, undefined, {}]) {
    for (const verb of ['unsubscribe', 'session'])
      expect(faultIn(() => of[verb]?.(wrong)).details).toMatchObject({ field: 'id' })
  }
  expect(faultIn(() => bus.unsubscribe('nobody')).code).toBe('UNKNOWN_SUBSCRIPTION')
  expect(faultIn(() => loose(agent).setStatus?.('sleeping')).details).toMatchObject({
    field: 'status',
    allowed: expect.any(String),
  })
  expect(faultIn(() => bus.subscribe('t', handler, { group: 'g', filter: () => true })).details).toMatchObject({
    field: 'filter',
  })
  expect(faultIn(() => bus.streams.read('nobody')).code).toBe('STREAM_CLOSED')
  for (const requests of [5, null, 'x', [5], [null], [[]]]) {
    expect((await faultOf(of.requestAll?.(requests) as Promise<unknown>)).code).toMatch(/^INVALID_/)
  }
  for (const target of [{ capability: 5 }, { capability: '' }, { capability: 'none' }]) {
    expect((await faultOf(of.request?.(target, 1) as Promise<unknown>)).code).toMatch(/^(INVALID_|UNKNOWN_AGENT)/)
  }
  await works(bus, before)
})

test('a stream is never read from a wrong place in silence', async () => {
  await using r = rig()
  const { bus } = r
  const writer = bus.streams.open()
  await writer.write(1)
  for (const from of [-1, 1.5, Number.NaN, 'x', null]) {
    const read = (async () => bus.streams.read(writer.id, from as number).next())()
    const outcome = await Promise.race([faultOf(read).then(({ code }) => code), r.env.settle().then(() => 'waits')])
    expect(['INVALID_OPTION', 'STREAM_GAP'], String(from)).toContain(outcome)
  }
  expect(writer.info().status).toBe('active')
})

test('configure refuses what is fixed when the bus is made', async () => {
  await using r = rig()
  const before = figures(r.bus)
  const fixed = {
    env: fakeEnv(),
    preset: 'cortex',
    topics: [],
    history: 5,
    failures: 5,
    overtaking: 5,
    autoStart: false,
  }
  for (const [field, value] of Object.entries(fixed)) {
    const fault = faultIn(() => r.bus.configure({ [field]: value }))
    expect([fault.code, fault.details.field, fault.details.allowed]).toEqual([
      'INVALID_OPTION',
      field,
      'only at createBus',
    ])
  }
  await works(r.bus, before)
})
