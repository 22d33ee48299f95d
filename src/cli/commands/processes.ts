import { Command } from 'commander'
import { type Act, type Call, usage } from '../call.ts'
import { CliError, EXIT } from '../faults.ts'
import { counted, localTime } from '../text.ts'

const EXAMPLES = `
Examples:
  $ swarmbus processes --url redis://localhost:6379
  $ swarmbus processes --url nats://localhost:4222 --json

While it looks, the program is on the wire itself, as one more process that wants nothing.`

/** `swarmbus processes`: who is on the wire of a broker. */
export function processesCommand(act: Act): Command {
  return new Command('processes')
    .description('list the processes of a swarm on a broker, with their agents and how many subscriptions each has')
    .addHelpText('after', EXAMPLES)
    .action(act(processes))
}

async function processes(call: Call): Promise<number> {
  const { urlOf } = await import('../open.ts')
  const { backendOf, masked, readBackendUrl } = await import('../../node/url.ts')
  const { openBackend } = await import('../../node/backends.ts')
  const { createBus } = await import('../../bus/bus.ts')
  const { io, out } = call
  const url = urlOf(call.options, io.env)
  const kind = backendOf(readBackendUrl(url).scheme)
  if (kind === 'memory' || kind === 'sqlite') {
    throw usage('a file belongs to one process at a time', 'name a broker: --url redis://HOST or nats://HOST')
  }
  await using backend = await openBackend(url, { env: io.clock })
  const { wire } = backend
  if (wire === undefined) throw new CliError(EXIT.failed, `${masked(url)} has no wire`, 'name another broker')
  await using bus = createBus({ wire, name: 'swarmbus processes', env: io.clock })
  await bus.ready
  const found = [...bus.processes()].sort((a, b) => (`${a.name} ${a.id}` < `${b.name} ${b.id}` ? -1 : 1))
  if (out.json) await out.document(found.map(({ knownSince: _own, ...one }) => one))
  else if (found.length === 0) await out.text('no processes: nobody is on the wire')
  else {
    await out.table(
      [
        { title: 'PROCESS', look: 'dim' },
        { title: 'BUS', look: 'cyan' },
        { title: 'SUBSCRIPTIONS', side: 'right' },
        { title: 'AGENTS', gives: true },
      ],
      found.map(({ id, name, subscriptions, agents }) => [
        id,
        name,
        String(subscriptions),
        agents.length === 0 ? '-' : agents.map((agent) => `${agent.name} (${agent.status})`).join(', '),
      ]),
    )
    await out.note(`${counted(found.length, 'process', 'processes')} at ${localTime(io.clock.wallMs())}`)
  }
  return EXIT.ok
}
