/** `fanfare health`: checks that the hub at HOST and PORT is alive, for the health check of a container. */
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { DEFAULT_HOST, DEFAULT_PORT, EVERYWHERE, socketPathOf } from '../server/listen-address.js'
import { SettingsError } from '../model/settings-error.js'
import type { Process } from './command.js'

/** The time limit of the check, in milliseconds. */
const TIMEOUT = 2_500
/**
 * Prints nothing if the hub answers 200.
 * @throws SettingsError for any other answer, and for no answer
 */
export async function health({ env }: Pick<Process, 'env'>): Promise<void> {
  const host = env.HOST || DEFAULT_HOST
  const port = env.PORT || DEFAULT_PORT
  const socketPath = socketPathOf(host)
  const target = socketPath === undefined ? { host: EVERYWHERE[host] ?? host, port } : { socketPath }
  const isSecure = Boolean(env.FANFARE_TLS_CERT)
  const request = isSecure ? requestHttps : requestHttp
  // the certificate is for the name that clients use, and may have expired: the hub is alive nevertheless
  const options = {
    ...target,
    path: '/health/live',
    timeout: TIMEOUT,
    agent: false,
    rejectUnauthorized: false,
  } as const
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const asked = request(options, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    asked.once('timeout', () => asked.destroy(new Error(`no answer within ${TIMEOUT} ms`)))
    asked.once('error', reject)
    asked.end()
  }).catch((err: unknown) => {
    throw new SettingsError(
      `No hub answers at ${socketPath ?? `${host}:${port}`} (${err instanceof Error ? err.message : String(err)}).`,
      { cause: err },
    )
  })
  if (status !== 200)
    throw new SettingsError(`The hub at ${socketPath ?? `${host}:${port}`} answers ${status ?? 'nothing'}.`)
}
