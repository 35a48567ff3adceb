/**
 * The conformance suite of the Durable Streams protocol. `durable-streams.test.ts` runs it with vitest, against the hub
 * at `HUB_URL` with the token `HUB_TOKEN`.
 */
import { runConformanceTests } from '@durable-streams/server-conformance-tests'

const { HUB_URL = '', HUB_TOKEN = '', LONG_POLL = '' } = process.env

// the suite knows no tokens
const send = globalThis.fetch
globalThis.fetch = (input, init) => {
  const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : {}))
  if (init?.method !== 'OPTIONS') headers.set('authorization', `Bearer ${HUB_TOKEN}`) // a preflight has no token
  return send(input, { ...init, headers })
}

runConformanceTests({ baseUrl: `${HUB_URL}/streams`, longPollTimeoutMs: Number(LONG_POLL) })
