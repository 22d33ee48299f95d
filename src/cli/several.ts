import { type Call, exitOf } from './call.ts'
import { EXIT, faultOf } from './faults.ts'
import { counted, oneLine } from './text.ts'

/**
 * Does one thing to each id, and says of each what became of it; one that fails does not keep the others back. Resolves to an exit
 * code: that of the first failure.
 */
export async function eachById(
  call: Call,
  ids: readonly string[],
  done: 'redriven' | 'discarded',
  run: (id: string) => Promise<void>,
): Promise<number> {
  const { out } = call
  const stop = call.stop()
  const went: string[] = []
  const failed: { readonly id: string; readonly code: string; readonly message: string; readonly next: string }[] = []
  let exitCode: number = EXIT.ok
  for (const [index, id] of ids.entries()) {
    if (stop.signal.aborted) break
    try {
      await run(id)
      went.push(id)
      out.progress(`${done} ${index + 1} of ${ids.length}`)
    } catch (error) {
      const fault = faultOf(error)
      if (exitCode === EXIT.ok) exitCode = fault.exitCode
      failed.push({ id, code: fault.code, message: fault.message, next: fault.next })
      if (!out.json) await out.fault(fault, error, call.options.debug === true)
    }
  }
  if (out.json) await out.document({ [done]: went, failed, interrupted: stop.interrupted() })
  else if (ids.length === 1 && went.length === 1) await out.text(`${done} ${oneLine(went[0] ?? '')}`)
  else if (ids.length !== 1) {
    const more = [failed.length > 0 ? `${failed.length} failed` : '', stop.interrupted() ? 'interrupted' : '']
    await out.text([`${counted(went.length, 'dead letter')} ${done}`, ...more.filter(Boolean)].join(', '))
  }
  return exitCode === EXIT.ok ? exitOf(stop) : exitCode
}
