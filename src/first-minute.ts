/** What a hub that was started without a key tells the person who started it: a token, and commands to paste. */
import { randomBytes } from 'node:crypto'
import { createSigner } from 'fast-jwt'

/** A secret for one run, and a token that may do everything. */
export interface DevelopmentKey {
  secret: string
  token: string
}

/** Draws a secret for this run. */
export function drawDevelopmentKey(): DevelopmentKey {
  const secret = randomBytes(32).toString('base64url')
  const grants = { subscribe: ['**'], publish: ['**'], presence: ['**'], admin: true }
  return { secret, token: createSigner({ key: secret, algorithm: 'HS256' })({ sub: 'developer', fanfare: grants }) }
}

/** The words, and the same as fields for the log. */
export function firstMinute(address: string, { token }: DevelopmentKey, hasConsole: boolean): { token: string; console?: string; subscribe: string; publish: string; text: string } {
  const authorization = `-H "Authorization: Bearer ${token}"`
  const subscribe = `curl -N ${authorization} "${address}/topics/orders.42/events?replay=all"`
  const publish = `curl ${authorization} -H "Content-Type: application/json" -d '{"type":"created","data":{"total":12}}' ${address}/topics/orders.42/events`
  const link = `${address}/#token=${token}`
  const text = `
Fanfare listens on ${address}

No key is set, so a secret was drawn for this run (set FANFARE_JWT_SECRET to keep one).
A token that may do everything, for as long:

  ${token}

Subscribe, in one terminal:

  ${subscribe}

Publish, in another:

  ${publish}
${hasConsole ? `
See what goes on, in a browser:

  ${link}
` : ''}`
  return { token, ...(hasConsole ? { console: link } : {}), subscribe, publish, text }
}
