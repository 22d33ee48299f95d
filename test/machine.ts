/** Milliseconds that a machine which runs other test files at the same time may take beyond what is promised; what is wrong takes longer. */
export const MACHINE_MS = 1_000
