import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { Secrets } from './secrets.ts'

/** Where `$NAME` gets its value from. */
export interface Variables {
  /** The value; undefined when the variable is not set. What is asked for is hidden from then on. */
  value(name: string): string | undefined
  /** Everything that is set: the environment, and what a `.env` file adds to it. Not hidden: for settings that have names of their own. */
  readonly all: Readonly<Record<string, string | undefined>>
  readonly secrets: Secrets
  /** Why the `.env` file could not be read; undefined when it could, or there is none. */
  readonly fault: string | undefined
}

const SECRET = /KEY|TOKEN|SECRET|PASS|PWD|CREDENTIAL|PRIVATE|AUTH/i

/**
 * The environment, and a `.env` file in the folder for what the environment does not set. Nothing is written to `process.env`. A folder
 * of undefined has no file.
 */
export function readVariables(
  folder: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): Variables {
  const { values, fault } = folder === undefined ? { values: {}, fault: undefined } : readFile(join(folder, '.env'))
  const all: Readonly<Record<string, string | undefined>> = { ...values, ...environment }
  const secrets = new Secrets()
  // What looks like a secret is hidden, even if nobody asks for it.
  for (const [name, value] of Object.entries(values))
    if (value !== undefined && SECRET.test(name)) secrets.add(value, true)
  return {
    all,
    secrets,
    fault,
    value(name) {
      const found = Object.hasOwn(all, name) ? all[name] : undefined
      if (found !== undefined) secrets.add(found, SECRET.test(name))
      return found
    },
  }
}

function readFile(path: string): {
  readonly values: Readonly<Record<string, string | undefined>>
  readonly fault: string | undefined
} {
  try {
    const text = readFileSync(path, 'utf8').replace(/^\ufeff/, '')
    return { values: parseEnv(text), fault: undefined }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return { values: {}, fault: code === 'ENOENT' ? undefined : message }
  }
}
