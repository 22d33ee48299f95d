/**
 * @typedef {object} Locked one package of a package-lock.json
 * @property {string | readonly string[]} [os]
 * @property {string | readonly string[]} [cpu]
 * @property {string | readonly string[]} [libc]
 */

/**
 * The packages made for this platform that an installation lacks. `npm ci` skips an optional package that it cannot
 * download and still succeeds; without this check the set-up would be marked as done without its programs.
 * @param {Readonly<Record<string, Locked>>} packages of package-lock.json
 * @param {{ os: string, cpu: string, libc: string | undefined }} platform
 * @param {(path: string) => boolean} exists takes a path from the lock file's folder
 * @returns {readonly string[]}
 */
export function missingPackages(packages, platform, exists) {
  return Object.entries(packages)
    .filter(([, { os, cpu }]) => os !== undefined || cpu !== undefined)
    .filter(([, { os, cpu, libc }]) => {
      return fits(os, platform.os) && fits(cpu, platform.cpu) && (libc === undefined || fits(libc, platform.libc))
    })
    .map(([path]) => path)
    .filter((path) => !exists(path))
}

/**
 * @param {string | readonly string[] | undefined} allowed names, or names with `!` before them
 * @param {string | undefined} own
 * @returns {boolean}
 */
function fits(allowed, own) {
  if (allowed === undefined) return true
  const names = [allowed].flat()
  if (own === undefined || names.includes(own)) return own !== undefined
  return names.every((name) => name.startsWith('!') && name !== `!${own}`)
}
