import type { DiagnosticRow } from './codes.ts'

/**
 * What loading `.ww` files can find, beside what reading them can: see `DIAGNOSTICS`. Codes never change their meaning; docs/ww-files.md
 * prints this table.
 */
export const LOAD_DIAGNOSTICS = {
  'unknown-name': {
    severity: 'error',
    text: 'a name is declared nowhere',
    next: 'declare it, mend it as the hint says, or put a text into quotes',
  },
  'unset-variable': {
    severity: 'error',
    text: 'a variable is set neither in the environment nor in `.env`; a warning for `swarmbus check`',
    next: 'set it, or write the value itself',
  },
  'unknown-kind': {
    severity: 'error',
    text: 'there is no such kind of component',
    next: 'use one of those that the message lists, or include a module with your own',
  },
  'ambiguous-kind': {
    severity: 'error',
    text: 'a word means several kinds, and neither `role` nor the name says which',
    next: 'add `role: …`, or choose a name such as `input` or `agent`',
  },
  'unknown-key': {
    severity: 'warning',
    text: 'the kind knows no such key',
    next: 'mend it as the hint says, or take it away',
  },
  'no-effect': {
    severity: 'warning',
    text: 'a key is known, and what it asks for is not done',
    next: 'take it away, or do as the message says',
  },
  'wrong-type': {
    severity: 'error',
    text: 'a value is not what its key may hold',
    next: 'write what the message asks for',
  },
  'wrong-role': {
    severity: 'error',
    text: 'a key names a component that cannot be used there',
    next: 'name one of the roles in the message',
  },
  'missing-key': {
    severity: 'error',
    text: 'a key that the kind needs is missing',
    next: 'write it, or set the variable that the message names',
  },
  'bad-script': {
    severity: 'error',
    text: '`hooks` or `pipes` is no list of blocks',
    next: 'write `[{ event: "…", script_path: "…", function_name: "…" }]`',
  },
  'missing-module': {
    severity: 'error',
    text: 'the module of a hook or a pipe is not there',
    next: 'put it beside the file that names it, or mend the path',
  },
  'python-module': {
    severity: 'error',
    text: 'a hook or a pipe is written in Python; a warning for `swarmbus check`',
    next: 'write it as a module in .ts, .js or .mjs',
  },
  'bad-module': {
    severity: 'error',
    text: 'a module throws when it is imported, or its kinds cannot be added',
    next: 'mend the module as the message says',
  },
  'missing-function': {
    severity: 'error',
    text: 'a module does not export the function of a hook or a pipe',
    next: 'export it, or mend the name',
  },
  'no-kinds': {
    severity: 'error',
    text: 'an included module exports no kind',
    next: 'export what `defineKind` gives, or a list of them',
  },
  'reference-cycle': {
    severity: 'error',
    text: 'components need each other in a circle',
    next: 'take one of the references away; only `to` may lead in a circle',
  },
  'second-command-line': {
    severity: 'error',
    text: 'a second component reads the terminal',
    next: 'keep one `input command_line`',
  },
  'second-bus': { severity: 'error', text: 'a second message bus is declared', next: 'keep one' },
  'include-path': {
    severity: 'error',
    text: 'an include names its file by a variable',
    next: 'write the path itself',
  },
  'include-outside': {
    severity: 'error',
    text: 'an include leads out of the folder of the main file, also by a symbolic link',
    next: 'put the file into the folder or below it',
  },
  'include-missing': {
    severity: 'error',
    text: 'an included file is not there or cannot be read',
    next: 'mend the path; it is relative to the file that includes it',
  },
  'include-cycle': { severity: 'error', text: 'files include each other', next: 'take one of the includes away' },
  'unavailable-kind': {
    severity: 'error',
    text: 'the kind is known, and cannot run here; a warning for `swarmbus check`',
    next: 'do what the message says instead',
  },
  ambiguous: {
    severity: 'warning',
    text: 'where output goes was chosen among several; an error with `--strict`',
    next: 'say `to`',
  },
  cycle: {
    severity: 'warning',
    text: '`to` leads in a circle, which the hop limit ends; an error with `--strict`',
    next: 'name the target that closes it in `feedback`, if it is meant',
  },
  orphan: { severity: 'warning', text: 'nothing goes to a component, or it goes nowhere', next: 'say `to`' },
  'takes-nothing': { severity: 'warning', text: 'a target takes no input', next: 'choose another target' },
  'bad-env-file': {
    severity: 'warning',
    text: 'the file `.env` cannot be read',
    next: 'mend its rights or its encoding',
  },
} as const satisfies Record<string, DiagnosticRow>

/** A code of {@link LOAD_DIAGNOSTICS}, or `duplicate-name` of the reader. */
export type LoadCode = keyof typeof LOAD_DIAGNOSTICS | 'duplicate-name'
