import type { Env, Timer } from '../../kit/env.ts'
import { isBusError } from '../../kit/errors.ts'
import type { StreamSettings } from './bootstrap.ts'
import { faultOf, type Io, NAME_IN_USE, NO_STREAM, type StreamDetails } from './io.ts'

const PIECES = 4
const PIECE_BYTES = 64 * 1_024
const AGAIN_MS = 2_000

/**
 * Room that is kept back for settlements. A server that is full refuses those as well, and nothing could be removed any more: what was
 * settled is what retention may remove. So a small stream of a swarm holds some pieces of nothing; each one that is given up lets a few
 * thousand settlements in, or one that is large.
 */
export class Reserve {
  readonly #io: Io
  readonly #env: Env
  readonly #name: string
  readonly #subject: string
  readonly #settings: StreamSettings
  #making: Promise<void> | undefined
  #spending: Promise<boolean> | undefined
  #timer: Timer | undefined
  #closed = false

  constructor(io: Io, prefix: string, settings: StreamSettings) {
    this.#io = io
    this.#env = io.env
    this.#name = `${prefix}_reserve`
    this.#subject = `${prefix}.reserve`
    this.#settings = settings
  }

  /** Fills it up, once; where there is no room, again from time to time. */
  make(): void {
    this.#making ??= this.#fill().catch((error: unknown) => {
      this.#making = undefined
      // Whoever has not the right to it has none; after a lost connection the next channel asks for it.
      if (isBusError(error, 'STORE_FULL')) this.#later()
    })
  }

  /** Gives up a piece. Resolves to whether there was one. */
  spend(): Promise<boolean> {
    this.#spending ??= this.#spend()
      .catch(() => false)
      .finally(() => {
        this.#spending = undefined
        this.#making = undefined
        this.#later()
      })
    return this.#spending
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  #later(): void {
    if (this.#closed) return
    this.#timer ??= this.#env.after(AGAIN_MS, () => {
      this.#timer = undefined
      this.make()
    })
  }

  async #spend(): Promise<boolean> {
    const { state } = await this.#io.must<StreamDetails>(`STREAM.INFO.${this.#name}`)
    if (state.messages === 0) return false
    await this.#io.must(`STREAM.PURGE.${this.#name}`, state.messages > 1 ? { keep: state.messages - 1 } : {})
    return true
  }

  async #fill(): Promise<void> {
    let { error, state } = await this.#io.api<StreamDetails>(`STREAM.INFO.${this.#name}`)
    if (error?.err_code === NO_STREAM) ({ error, state } = await this.#create())
    if (error !== undefined && error.err_code !== NAME_IN_USE) throw faultOf(error)
    const most = (this.#io.link.connection.info?.max_payload ?? 1_048_576) - 1_024
    const piece = new Uint8Array(Math.min(PIECE_BYTES, most))
    for (let count = state?.messages ?? 0; count < PIECES; count++) {
      await this.#io.publish(this.#subject, piece, undefined)
    }
  }

  #create(): Promise<StreamDetails & { readonly error?: { readonly code: number; readonly err_code?: number } }> {
    return this.#io.api<StreamDetails>(`STREAM.CREATE.${this.#name}`, {
      name: this.#name,
      description: 'room that swarmbus gives up when the server is full',
      subjects: [this.#subject],
      retention: 'limits',
      discard: 'new',
      storage: this.#settings.storage,
      num_replicas: this.#settings.replicas,
      // Several processes fill it at the same moment.
      max_msgs: PIECES * 2,
    })
  }
}
