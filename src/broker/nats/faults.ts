import { errors } from '@nats-io/transport-node'
import { BusError, describeThrown } from '../../kit/errors.ts'

/** The errors of TLS have no class, but codes: DEPTH_ZERO_SELF_SIGNED_CERT, ERR_TLS_CERT_ALTNAME_INVALID, ERR_SSL_… */
const TLS_CODE = /CERT|TLS|SSL|ISSUER|SIGNATURE/

/** What went wrong with the first connection to a place. */
export function connectFault(error: unknown, place: string): BusError {
  const details = { place }
  const code = String((error as { code?: unknown } | null)?.code ?? '')
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError) {
    return new BusError(
      'BROKER_REFUSED',
      `NATS at ${place} refuses who asks: ${error.message}; check user, password or token`,
      {
        cause: error,
        details,
      },
    )
  }
  if (TLS_CODE.test(code)) {
    const text = `NATS at ${place} cannot be trusted: ${describeThrown(error)}; give its authority as client.tls.ca or caFile`
    return new BusError('BROKER_REFUSED', text, { cause: error, details })
  }
  if (error instanceof errors.ProtocolError || /does not support|not available/.test(describeThrown(error))) {
    return new BusError('BROKER_REFUSED', `NATS at ${place} refuses: ${describeThrown(error)}`, {
      cause: error,
      details,
    })
  }
  return new BusError('BROKER_UNREACHABLE', `no NATS at ${place}: ${reasons(error)}`, { cause: error, details })
}

/** What went wrong with a question. */
export function askFault(error: unknown, subject: string): BusError {
  const details = { subject }
  const inner = error instanceof errors.RequestError && error.cause !== undefined ? error.cause : error
  if (inner instanceof errors.TimeoutError) {
    return new BusError('BROKER_TIMEOUT', `NATS did not answer on ${subject}`, { cause: error, details })
  }
  if (inner instanceof errors.NoRespondersError) {
    return new BusError('BROKER_REFUSED', `nobody at NATS serves ${subject}`, { cause: error, details })
  }
  if (inner instanceof errors.PermissionViolationError) {
    return new BusError('BROKER_REFUSED', `NATS refuses: ${inner.message}`, { cause: error, details })
  }
  if (inner instanceof errors.InvalidArgumentError) {
    return new BusError('PAYLOAD_TOO_LARGE', `NATS takes no message of that size on ${subject}`, {
      cause: error,
      details,
    })
  }
  if (inner instanceof errors.ClosedConnectionError || inner instanceof errors.DrainingConnectionError) {
    return new BusError('BROKER_UNREACHABLE', 'the connection to NATS is closed', { cause: error, details })
  }
  // Whatever else it was, the question may have been sent.
  return new BusError('BROKER_TIMEOUT', `no answer on ${subject}: ${describeThrown(inner)}`, { cause: error, details })
}

function reasons(error: unknown): string {
  const all = error instanceof AggregateError ? error.errors : [error]
  return [...new Set(all.map((one) => describeThrown(one).replace(/^Error: /, '')))].join('; ') || 'no answer'
}
