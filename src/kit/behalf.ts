/** A way out of whatever the caller works on, for work that is not its own. */
export interface Behalf {
  /** Calls `run` outside of it; undefined as long as nothing in this process carries such a thing along asynchronous calls. */
  leave: ((run: () => void) => void) | undefined
}

/** Components set it (`component/frame.ts`): a bus without components pays nothing. */
export const behalf: Behalf = { leave: undefined }
