// Runs before anything is installed, on Node 18: no dependency, no newer API.

/** @typedef {readonly [major: number, minor: number, patch: number]} Version */

/**
 * `v24.21.0` or `24.21.0` as numbers; undefined for anything else, prereleases and nightlies included.
 * @param {string} text
 * @returns {Version | undefined}
 */
export function parseVersion(text) {
  const match = /^v?(\d+)\.(\d+)\.(\d+)$/.exec(text.trim())
  return match ? [Number(match[1]), Number(match[2]), Number(match[3])] : undefined
}

/**
 * Whether a version satisfies a range of the forms that package.json's `engines` uses: `^a.b.c` and `>=a.b.c`,
 * joined by `||`. Throws on any other form.
 * @param {string} version
 * @param {string} range
 * @returns {boolean}
 */
export function satisfies(version, range) {
  const actual = parseVersion(version)
  return range.split('||').some((part) => {
    const match = /^(\^|>=)(.+)$/.exec(part.trim())
    const floor = match && parseVersion(match[2] ?? '')
    if (!match || !floor) throw new Error(`unsupported engines range: ${part.trim()}`)
    return actual !== undefined && isAtLeast(actual, floor) && (match[1] === '>=' || actual[0] === floor[0])
  })
}

/**
 * @param {Version} actual
 * @param {Version} floor
 * @returns {boolean}
 */
function isAtLeast(actual, floor) {
  for (const i of /** @type {const} */ ([0, 1, 2])) if (actual[i] !== floor[i]) return actual[i] > floor[i]
  return true
}

/**
 * Which Node a task runs on: `current`, `pinned`, or `none` when neither can do.
 * @param {{ task: string, current: string, range: string, pinned: string | undefined }} facts `pinned` is undefined
 *   when no pinned binary exists for this platform
 * @returns {'current' | 'pinned' | 'none'}
 */
export function chooseNode({ task, current, range, pinned }) {
  const fits = satisfies(current, range)
  // Tests run on the lowest supported line, so that a newer API cannot slip in.
  if (task === 'test' && pinned !== undefined) return current === `v${pinned}` ? 'current' : 'pinned'
  if (fits) return 'current'
  return pinned === undefined ? 'none' : 'pinned'
}
