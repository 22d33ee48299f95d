import { Command } from 'commander'
import type { Act, Call } from '../call.ts'
import { EXIT } from '../faults.ts'
import { choice } from '../parse.ts'
import { invalid, MAIN, mustHaveNoLog, showDiagnostics, wwFile } from '../ww.ts'

const FORMATS = ['text', 'mermaid', 'svg'] as const

interface Options {
  readonly format: (typeof FORMATS)[number]
}

const EXAMPLES = `
Examples:
  $ swarmbus graph
  $ swarmbus graph swarms/chain.ww --format mermaid
  $ swarmbus graph --format svg > swarm.svg

It shows names, kinds and where output goes, never a setting.`

/** `swarmbus graph [FILE]`: draws the components of a `.ww` file and where their output goes. */
export function graphCommand(act: Act): Command {
  return new Command('graph')
    .description('draw the components of a .ww file and where their output goes')
    .argument('[file]', `the file, or a folder with a ${MAIN} (default: ${MAIN})`)
    .addOption(choice('--format <format>', 'how it is drawn', FORMATS).default('text'))
    .addHelpText('after', EXAMPLES)
    .action(act(graph))
}

async function graph(call: Call, given: string | undefined, { format }: Options): Promise<number> {
  mustHaveNoLog(call, 'graph')
  const { io, out } = call
  const file = wwFile(given)
  const [{ loadSwarm }, { graphMermaid, graphOf, graphText }, { graphSvg }] = await Promise.all([
    import('../../config/load.ts'),
    import('../../config/graph.ts'),
    import('../../config/graph-svg.ts'),
  ])
  const loaded = await loadSwarm(file, { environment: io.env, check: true })
  out.hide((text) => loaded.secrets.mask(text))
  const errors = loaded.diagnostics.filter(({ severity }) => severity === 'error')
  if (errors.length > 0) {
    if (out.json) for (const one of errors) await out.warn(one.message, one)
    else await showDiagnostics(call, loaded, errors)
    throw invalid(file, errors)
  }
  const drawn = graphOf(loaded.plan)
  if (out.json) await out.document(drawn)
  else if (format === 'text') await out.text(graphText(drawn))
  else if (format === 'mermaid') await out.text(graphMermaid(drawn))
  else await out.text(graphSvg(drawn).trimEnd())
  return EXIT.ok
}
