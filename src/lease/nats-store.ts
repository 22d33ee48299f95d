import type { NatsLink } from '../broker/nats/link.ts'
import { tokenOf } from '../broker/nats/subject.ts'
import type { Env } from '../kit/env.ts'
import { BusError, describeThrown, isBusError } from '../kit/errors.ts'

/** Above it the entries that were not written for the longest time go: those of owners that died. */
const MOST_NAMES = 200_000
const NO_MESSAGE = 10_037
const NO_STREAM = 10_059
const OTHER_CONFIG = 10_058
const WRONG_SEQUENCE = 10_071
const MAKING_MS = 100

/** What is written about a name. */
export interface LeaseBody {
  /** Tells this write from all others. */
  readonly by: string
  readonly ttlMs: number
  /** Wall-clock milliseconds of the writer. */
  readonly atMs: number
  /** That of the owner; when it is taken: the number that the write itself gets. */
  readonly token?: number
}

/** A name that is taken. */
export interface LeaseEntry extends LeaseBody {
  readonly token: number
  readonly seq: number
  /** Wall-clock milliseconds of the server. */
  readonly storedAtMs: number
}

/** The stream of leases: one message for each name, and each write names the one it replaces. Rejects with STORE_FAILED. */
export interface LeaseStore {
  read(name: string): Promise<LeaseEntry | undefined>
  /** Writes if the name's entry is the one of that number (0: if there is none). Undefined, and nothing is written, when it is another. */
  write(
    name: string,
    body: LeaseBody,
    replaced: number,
  ): Promise<{ readonly seq: number; readonly token: number } | undefined>
  /** Removes exactly that entry. False when it is not there any more. */
  remove(seq: number): Promise<boolean>
  /** Number and server's time of a write that is made now. */
  mark(): Promise<{ readonly seq: number; readonly storedAtMs: number }>
  close(): void
}

interface Answer {
  readonly error?: { readonly err_code?: number; readonly description?: string }
  readonly seq?: number
  readonly created?: string
  /** Of a server in a cluster. */
  readonly cluster?: object
  readonly success?: boolean
  readonly message?: { readonly seq: number; readonly data?: string; readonly time: string }
}

/** Makes the stream if it is not there. Rejects with BROKER_REFUSED when that is not possible, BROKER_UNREACHABLE, BROKER_TIMEOUT. */
export async function openLeaseStore(link: NatsLink, prefix: string, replicas: number, env: Env): Promise<LeaseStore> {
  const stream = `${prefix}-leases`
  const root = `${prefix}.l.`
  const config = {
    name: stream,
    subjects: [`${root}>`, `${prefix}.lm`],
    storage: 'file',
    retention: 'limits',
    discard: 'old',
    max_msgs_per_subject: 1,
    max_msgs: MOST_NAMES,
    num_replicas: replicas,
  }
  /** Tokens are above it: of a stream that was lost and made anew they are higher than before, unless more than a million were given a second. */
  let base = 0
  let newest = 0
  let fresh = false
  const watcher = link.watch.on(({ type }) => {
    // It may have come back without its data.
    if (type === 'restored') fresh = false
  })

  async function api(call: string, body?: object): Promise<Answer> {
    return (await link.ask(`$JS.API.${call}`, body === undefined ? '' : JSON.stringify(body))).json<Answer>()
  }

  async function open(): Promise<void> {
    let answer = await api(`STREAM.INFO.${stream}`)
    if (answer.error?.err_code === NO_STREAM) {
      answer = await api(`STREAM.CREATE.${stream}`, config)
      // Somebody else was faster, with other replicas.
      if (answer.error?.err_code === OTHER_CONFIG) answer = await api(`STREAM.INFO.${stream}`)
    }
    // In a cluster the moment may be told differently while the stream is being made; all must count from the same.
    for (let before = ''; answer.cluster !== undefined && answer.created !== before; ) {
      before = answer.created ?? ''
      await new Promise<void>((resolve) => void env.after(MAKING_MS, resolve))
      answer = await api(`STREAM.INFO.${stream}`)
    }
    const createdMs = Date.parse(answer.created ?? '')
    if (answer.error !== undefined || Number.isNaN(createdMs)) {
      const why = answer.error?.description ?? 'it did not say when its stream was made'
      throw new BusError('BROKER_REFUSED', `${link.url} cannot keep leases: ${why}`, { details: { stream } })
    }
    base = createdMs * 1_000
    newest = 0
    fresh = true
  }

  /** Runs a call on the stream; when nobody answers for it, makes it anew and runs the call once more, which then changes nothing twice. */
  async function onStream<T>(what: string, run: () => Promise<T>): Promise<T> {
    try {
      if (!fresh) await open()
      try {
        return await run()
      } catch (error) {
        if (!isBusError(error, 'BROKER_REFUSED')) throw error
        await open()
        return await run()
      }
    } catch (error) {
      if (isBusError(error, 'STORE_FAILED')) throw error
      throw new BusError('STORE_FAILED', `${what}: ${describeThrown(error)}`, { cause: error, details: { stream } })
    }
  }

  function fault(answer: Answer, what: string): BusError {
    // As if nobody had answered: then the stream is looked for.
    if (answer.error?.err_code === NO_STREAM) return new BusError('BROKER_REFUSED', 'there is no stream of leases')
    return new BusError('STORE_FAILED', `${what}: ${answer.error?.description}`, { details: { stream } })
  }

  async function put(subject: string, payload: string, replaced?: number): Promise<number | undefined> {
    const headers = replaced === undefined ? {} : { 'Nats-Expected-Last-Subject-Sequence': String(replaced) }
    const answer = (await link.ask(subject, payload, { headers })).json<Answer>()
    if (answer.error?.err_code === WRONG_SEQUENCE) return undefined
    if (answer.error !== undefined || answer.seq === undefined) throw fault(answer, 'a lease could not be written')
    // Numbers only grow, but in a stream that was made anew.
    if (answer.seq <= newest) await open()
    newest = Math.max(newest, answer.seq)
    return answer.seq
  }

  await open()
  return {
    read: (name) =>
      onStream(`the lease of "${name}" could not be read`, async () => {
        const answer = await api(`STREAM.MSG.GET.${stream}`, { last_by_subj: root + tokenOf(name) })
        if (answer.error?.err_code === NO_MESSAGE) return undefined
        if (answer.message === undefined) throw fault(answer, 'a lease could not be read')
        const { seq, data = '', time } = answer.message
        // What a stranger wrote is over: the next owner writes over it.
        const body = bodyOf(Buffer.from(data, 'base64')) ?? { by: '', ttlMs: 0, atMs: 0 }
        return { token: base + seq, ...body, seq, storedAtMs: Date.parse(time) }
      }),

    write: (name, body, replaced) =>
      onStream(`the lease of "${name}" could not be written`, async () => {
        const seq = await put(root + tokenOf(name), JSON.stringify(body), replaced)
        return seq === undefined ? undefined : { seq, token: body.token ?? base + seq }
      }),

    remove: (seq) =>
      onStream('a lease could not be given up', async () => {
        const answer = await api(`STREAM.MSG.DELETE.${stream}`, { seq, no_erase: true })
        if (answer.error?.err_code === NO_STREAM) throw fault(answer, '')
        return answer.success === true
      }),

    mark: () =>
      onStream('the leases could not be opened', async () => {
        const seq = (await put(`${prefix}.lm`, '')) as number
        const answer = await api(`STREAM.MSG.GET.${stream}`, { seq })
        // Gone already when another one made its mark: then the time is that of the newest.
        const last = answer.message ?? (await api(`STREAM.MSG.GET.${stream}`, { last_by_subj: `${prefix}.lm` })).message
        if (last === undefined) throw fault(answer, 'a lease could not be read')
        return { seq, storedAtMs: Date.parse(last.time) }
      }),

    close: () => watcher[Symbol.dispose](),
  }
}

/** What a writer wrote; undefined for anything else. */
export function bodyOf(bytes: Uint8Array): LeaseBody | undefined {
  try {
    const { by, ttlMs, atMs, token } = JSON.parse(new TextDecoder().decode(bytes)) as Partial<LeaseBody>
    if (typeof by !== 'string' || typeof ttlMs !== 'number' || typeof atMs !== 'number') return undefined
    return { by, ttlMs, atMs, ...(typeof token === 'number' && { token }) }
  } catch {
    return undefined
  }
}
