/** What is told about the connection to a broker. */
export type LinkEvent =
  /** It was lost. */
  | { readonly type: 'lost'; readonly why: string }
  /** One try to connect again failed; the next one is in `nextMs`. */
  | { readonly type: 'retry'; readonly tries: number; readonly why: string; readonly nextMs: number }
  /** It stands again. */
  | { readonly type: 'restored'; readonly downMs: number; readonly tries: number }

/** Whether a connection stands. */
export class Watch {
  readonly #listeners = new Set<(event: LinkEvent) => void>()
  #isUp = true

  get isUp(): boolean {
    return this.#isUp
  }

  /** What a listener throws is ignored. */
  on(listener: (event: LinkEvent) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  /** Said by the link alone. */
  tell(event: LinkEvent): void {
    this.#isUp = event.type === 'restored'
    for (const listener of [...this.#listeners]) {
      try {
        listener(event)
      } catch {
        // An observer's fault must not keep the link from coming back.
      }
    }
  }
}
