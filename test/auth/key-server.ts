import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { KeyObject } from 'node:crypto'
import type { Test } from 'tap'

export interface KeyServer {
  readonly url: string
  /** The number of fetches so far. */
  fetches: number
  /** The keys of the answer; `undefined`: the server answers 500. */
  keys: object[] | string | undefined
  /** If set, answers wait for this promise. */
  hold: Promise<void> | undefined
}

/** Starts a key server (RFC 7517, 5) that can be made to fail. */
export async function startKeyServer(t: Test, keys: object[]): Promise<KeyServer> {
  const server = createServer((_request, response) => {
    state.fetches++
    void (async () => {
      await state.hold
      if (state.keys === undefined) response.statusCode = 500
      response.end(typeof state.keys === 'string' ? state.keys : JSON.stringify({ keys: state.keys ?? [] }))
    })()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const state: KeyServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    fetches: 0,
    keys,
    hold: undefined,
  }
  return state
}

/** Returns the JSON Web Key of a public key. */
export function jwk({ publicKey }: { publicKey: KeyObject }, members: object = {}): object {
  return { ...publicKey.export({ format: 'jwk' }), ...members }
}
