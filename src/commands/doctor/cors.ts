/** Examines whether pages of an origin may use the hub (the CORS protocol of the Fetch standard). */
import { UsageError } from '../command.js'
import { isLocal, type HubAddress } from '../hub-address.js'
import { ask } from './probe.js'
import type { Report } from './finding.js'

/** @throws UsageError unless the text is an origin */
export function requireOrigin(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined
  // URL.origin is "null" for schemes of apps, such as capacitor://localhost
  if (!url || !/^[a-z][a-z\d+.-]*:\/\/[^/?#@]+$/i.test(text))
    throw new UsageError(
      `--origin is a scheme, a host and a port, such as https://app.example.com, and not ${JSON.stringify(text)}.`,
    )
}

/** Sends a preflight with the header Authorization, and a request as a page does. */
export async function examineCors(address: HubAddress, origin: string, report: Report): Promise<void> {
  if (origin === address.url.origin) {
    report('ok', `Pages of ${origin} have the origin of the hub: they need no CORS.`)
    return
  }
  if (origin.startsWith('https:') && address.url.protocol === 'http:' && !isLocal(address))
    report('fault', `Browsers do not let a page of ${origin} (https) use a hub over http: give the hub TLS.`)
  const path = '/topics/doctor/events'
  const preflight = await ask(address, path, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'authorization,last-event-id',
    },
  })
  const simple = await ask(address, '/status', { headers: { origin } })
  reportAnswers(origin, preflight, simple.headers['access-control-allow-origin'], report)
}

/**
 * Reports the first fault of the answers to a page.
 * @param answered the origins that the answer to the request allows
 */
function reportAnswers(
  origin: string,
  preflight: Awaited<ReturnType<typeof ask>>,
  answered: string | undefined,
  report: Report,
): void {
  const allowed = preflight.headers['access-control-allow-origin']
  if (allowed?.includes(',') || answered?.includes(','))
    report(
      'fault',
      `The answer has two headers Access-Control-Allow-Origin (${allowed ?? answered ?? ''}), which browsers refuse: remove the one that the proxy adds.`,
    )
  else if (!permits(answered, origin))
    report('fault', `Pages of ${origin} may not use the hub: add the origin to FANFARE_CORS_ORIGINS.`)
  else if (preflight.status >= 300 || !permits(allowed, origin))
    report(
      'fault',
      `Pages of ${origin} may not send a token: the preflight (OPTIONS) is answered ${preflight.status}, and not by the hub. Let the proxy pass OPTIONS requests on to the hub.`,
    )
  else if (!/(^|[\s,])(authorization|\*)($|[\s,])/i.test(preflight.headers['access-control-allow-headers'] ?? ''))
    report(
      'fault',
      `Pages of ${origin} may not send the header Authorization: a proxy answers the preflight in place of the hub.`,
    )
  else {
    const withCookies = preflight.headers['access-control-allow-credentials'] === 'true'
    report(
      'ok',
      `Pages of ${origin} may use the hub, ${withCookies ? 'also with cookies (sessions)' : 'though not with cookies: FANFARE_CORS_ORIGINS has "*"'}.`,
    )
  }
}

function permits(allowed: string | undefined, origin: string): boolean {
  return allowed === '*' || allowed === origin
}
