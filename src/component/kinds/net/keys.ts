import type { KeyRule } from '../../kind.ts'
import type { Settings } from '../settings.ts'
import { type Access, makeAccess } from './access.ts'

/** Keys of whatever listens. */
export function netKeys(port: number): Readonly<Record<string, KeyRule>> {
  return {
    port: { type: 'whole', min: 0, max: 65_535, default: port, summary: 'where it listens; 0 takes any free port' },
    host: {
      type: 'text',
      default: '127.0.0.1',
      summary: 'the address it listens on; another than this machine needs `api_key`',
    },
    api_key: {
      type: 'text',
      secret: true,
      summary: 'who wants in must have it: `Authorization: Bearer`, `X-API-Key`, `?api_key=`',
    },
    allowed_origins: { type: 'texts', summary: 'pages in browsers that may ask, such as "http://localhost:3000"' },
    max_body: { type: 'whole', min: 1, default: 1_048_576, summary: 'most bytes of one request or message' },
  }
}

/** Who may come in, by the settings. Throws CONFIG_INVALID. */
export function accessOf(owner: string, settings: Settings): Access {
  return makeAccess({
    owner,
    host: settings.text('host') as string,
    apiKey: settings.text('api_key'),
    origins: settings.texts('allowed_origins'),
  })
}
