/** Examines whether a hub answers at the URL, its readiness, and its clock. */
import { reasonOf } from '../http-client.js'
import { printAddress, type HubAddress } from '../hub-address.js'
import { ask, memberOf } from './probe.js'
import { printTime, type Report } from './finding.js'

/** Differences of clocks up to this are tolerated by default (`FANFARE_CLOCK_TOLERANCE`), in milliseconds. */
const TOLERANCE = 5_000
/** The header `Date` has whole seconds (RFC 9110, 5.6.7): on average half of one is missing. */
const HALF_SECOND = 500

/** Returns whether the server is a hub. */
export async function examineHub(address: HubAddress, report: Report): Promise<boolean> {
  const sentAt = Date.now()
  try {
    const { status, headers, body } = await ask(address, '/status', { headers: { accept: 'application/json' } })
    const took = Date.now() - sentAt
    const version = memberOf(body, 'version')
    if (status !== 200 || typeof version !== 'string') {
      const type = headers['content-type'] ?? 'no content type'
      report(
        'fault',
        `${printAddress(address)} answers /status with ${status} and ${type}, and not as a hub does: check the URL; the hub of an application has a path before it.`,
      )
      return false
    }
    const clients = memberOf(body, 'clients')
    report(
      'ok',
      `Fanfare ${version} answers (${printTime(took)}); it has been up for ${printTime(Number(memberOf(body, 'uptime')) * 1_000)} and has ${String(clients)} open ${clients === 1 ? 'stream' : 'streams'}.`,
    )
    await examineReadiness(address, report)
    examineClock(headers.date, sentAt + took / 2, report)
    return true
  } catch (err) {
    report('fault', `/status is not answered: ${reasonOf(err)}.`)
    return false
  }
}

async function examineReadiness(address: HubAddress, report: Report): Promise<void> {
  const { status, body } = await ask(address, '/health/ready')
  if (status === 200) return
  const detail = memberOf(body, 'detail')
  report(
    'fault',
    `The hub is not ready (${status}): ${typeof detail === 'string' ? detail : 'look at its log messages.'}`,
  )
}

/** Compares the header `Date` with the clock of this machine at the same moment. */
function examineClock(date: string | undefined, now: number, report: Report): void {
  const theirs = date === undefined ? NaN : Date.parse(date)
  if (Number.isNaN(theirs)) {
    report('note', 'The clocks cannot be compared: the answer has no header Date.')
    return
  }
  const ahead = theirs + HALF_SECOND - now
  const words = `The clock of the hub, or of the proxy before it, is ${printTime(ahead)} ${ahead > 0 ? 'ahead of' : 'behind'} the clock of this machine`
  if (Math.abs(ahead) <= TOLERANCE) report('ok', 'The clocks of the hub and of this machine agree.')
  else
    report(
      'fault',
      `${words}: tokens begin and end at the wrong time. Synchronise both with NTP, the hub's and that of the issuer of tokens.`,
    )
}
