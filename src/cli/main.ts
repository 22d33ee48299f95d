import { leave, processIo } from './io.ts'
import { runCli } from './run.ts'

// The program itself: `node dist/cli/main.js`, or as source. Pipes are written to their end.
await leave(await runCli(process.argv.slice(2), processIo()))
