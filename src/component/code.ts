import { aFlag, aFunction, aText, milliseconds, oneOf, type Rule, texts, whole } from '../kit/check.ts'
import { ROLES } from './role.ts'
import type { ComponentSpec } from './spec.ts'
import type { CodeComponent } from './swarm-options.ts'

const textOrTexts: Rule = {
  allowed: 'a name, or a list of names',
  ok: (value) => aText.ok(value) || texts.ok(value),
}
const aPromise: Rule = { allowed: 'a promise', ok: (value) => value instanceof Promise }

/** Rules of a component that is written in code. */
export const CODE_RULES: Readonly<Record<string, Rule>> = {
  name: aText,
  kind: aText,
  role: oneOf(ROLES),
  to: textOrTexts,
  feedback: texts,
  handle: aFunction,
  middleware: { allowed: 'a list of functions', ok: (value) => Array.isArray(value) && value.every(aFunction.ok) },
  produces: aText,
  routes: texts,
  streamingInput: aFlag,
  streamingOutput: aFlag,
  concurrency: whole(1),
  handlerTimeoutMs: milliseconds(1),
  capabilities: texts,
  tools: aFunction,
  start: aFunction,
  pause: aFunction,
  stop: aFunction,
  ended: aPromise,
}

/** The spec of a component that is written in code. */
export function specOf({ name, kind = 'code', role = 'other', to, feedback }: CodeComponent): ComponentSpec {
  return {
    name,
    kind,
    role,
    settings: {},
    ...(to === undefined ? {} : { to: typeof to === 'string' ? [to] : to }),
    ...(feedback === undefined ? {} : { feedback }),
  }
}
