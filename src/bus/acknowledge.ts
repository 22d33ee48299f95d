import type { Envelope } from '../message/message.ts'
import type { Ack, Refusal } from './ack.ts'
import type { AgentRecord } from './agents.ts'
import type { Delivered } from './distribute.ts'
import type { FarSide, Load } from './far/side.ts'
import type { Origin } from './maker.ts'
import type { PublishOptions } from './publisher.ts'
import type { Queue } from './queue.ts'
import { Receipt } from './receipt.ts'

// What publishers are told, and what is needed for it.

/** Where an agent takes its messages; without a queue it is registered in another process. */
export type Inbox = Pick<AgentRecord, 'name' | 'topic' | 'registeredAt'> & { readonly queue: Queue | undefined }

/** The agents that were meant, also those of other processes. */
export function namesOf(records: readonly Inbox[], { everyone }: Load, far: FarSide | undefined): string[] {
  const names = new Set(records.map(({ name }) => name))
  if (everyone !== undefined) for (const { name } of far?.agents() ?? []) if (!everyone.has(name)) names.add(name)
  return [...names]
}

/** The receipt of a publish that wants to know more than the acceptance; its handling waits only where `until` says so. */
export function receiptFor(
  message: Envelope,
  options: PublishOptions | undefined,
  origin: Origin | undefined,
): Receipt | undefined {
  const waits = options?.until !== undefined && options.until !== 'accepted'
  if (!waits && options?.receipt !== true) return undefined
  return new Receipt(waits ? origin?.delivery : undefined, message)
}

/** Waits until every queue has accepted or refused. */
export async function decided(
  delivered: Delivered,
  receipt: Receipt | undefined,
): Promise<{ accepted: number; refused: readonly Refusal[] }> {
  const refused = [...delivered.refused]
  for (const { name, error } of refused)
    receipt?.reports.push({ name, outcome: 'refused', reason: 'queue-full', error })
  let { accepted } = delivered
  await Promise.all(
    (delivered.waits ?? []).map(async ({ queue, outcome }) => {
      const refusal = await outcome
      if (refusal === undefined) return
      accepted--
      refused.push(refusal)
      receipt?.refused(queue.name, refusal.error)
    }),
  )
  return { accepted, refused }
}

/** Adds who took it: everybody that was named but did not refuse. */
export function withNames(base: Ack, names: readonly string[] | undefined): Ack {
  if (names === undefined) return base
  const refused = new Set(base.refused.map((one) => one.name))
  return { ...base, accepted: names.filter((name) => !refused.has(name)) }
}

/** What a publisher is told of a live message. */
export function ack(
  message: Envelope,
  recipients: number,
  refused: readonly Refusal[],
  held: boolean,
  accepted?: readonly string[],
): Ack {
  const { id, topic } = message
  return accepted === undefined
    ? { id, topic, level: 'memory', duplicate: false, recipients, refused, held }
    : { id, topic, level: 'memory', duplicate: false, recipients, refused, held, accepted }
}
