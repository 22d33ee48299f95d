import { isBusError } from '../kit/errors.ts'
import { type Backend, type BackendChoice, type chooseBackend, type OpenLogOptions, openBackend } from './backends.ts'
import { backendOf, masked, readBackendUrl, refuseUrl, sqliteFile } from './url.ts'

/** What happens when the chosen backend cannot be reached. */
interface OpenChosenOptions {
  readonly fallback: string | undefined
  readonly onChosen: ((choice: BackendChoice) => void) | undefined
}

/**
 * Opens the backend that was chosen, or its fallback when it cannot be reached. Only BROKER_UNREACHABLE leads to the fallback: it was
 * surely not used, and nothing of it needs to be mended by hand. Throws what opening throws, that of the fallback too.
 */
export async function openChosen(
  { secretUrl, url, why }: ReturnType<typeof chooseBackend>,
  options: OpenLogOptions,
  { fallback, onChosen }: OpenChosenOptions,
): Promise<Backend> {
  // One that cannot be read is found now, and not in the night in which it is needed.
  if (fallback !== undefined) checkFallback(fallback)
  onChosen?.({ url, why })
  try {
    return await openBackend(secretUrl, options)
  } catch (error) {
    if (fallback === undefined || !isBusError(error, 'BROKER_UNREACHABLE')) throw error
    onChosen?.({ url: masked(fallback), why: `fallback: ${error.message}` })
    return openBackend(fallback, options)
  }
}

function checkFallback(url: string): void {
  const kind = backendOf(readBackendUrl(url).scheme)
  if (kind === undefined) refuseUrl(url, 'the fallback begins with memory:, sqlite:, redis:// or nats://')
  if (kind === 'memory' && url !== 'memory:') refuseUrl(url, 'memory: takes nothing behind the colon')
  if (kind === 'sqlite' && !sqliteFile(url)) refuseUrl(url, 'name the file: sqlite:FILE')
}
