import { processIo } from './io.ts'
import { runCli } from './run.ts'

// The program itself: `node dist/cli/main.js`, or as source. The exit code is left, not forced, so that pipes are written to their end.
process.exitCode = await runCli(process.argv.slice(2), processIo())
