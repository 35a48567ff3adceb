/** Writes a finite topic of the hub over HTTP (docs/api.md, "Streams that end"). */
import { setTimeout as delay } from 'node:timers/promises'
import { HubError, type Hub } from 'fanfare-client'
import { SOON } from './hub-access.js'

/** If no message comes for this time, the writer has died: the hub ends the stream with the status `error`. */
const LEASE = '10s'
/** The wait before a request is repeated, in milliseconds. */
const RETRY = 250

/**
 * Creates a stream with its first message, or finds the stream that an earlier attempt has created.
 * @throws HubError
 */
export async function createStream(hub: Hub, path: string, first: unknown, signal: AbortSignal): Promise<void> {
  const headers = { 'fanfare-lease': LEASE, 'fanfare-coalesce': '40ms', 'stream-ttl': '3600' }
  await hub.request('PUT', path, { body: [first], headers, signal, ...SOON })
}

/**
 * Appends what a source yields, and ends the stream. A request that gets no answer is repeated with the same number
 * (`Producer-Seq`), so that the hub stores its message once. If the stream is cancelled, the source is stopped.
 * @throws HubError
 */
export async function writeStream(
  hub: Hub,
  path: string,
  source: AsyncIterable<unknown>,
  signal: AbortSignal,
): Promise<void> {
  let seq = 0
  try {
    for await (const body of source) await append({ body })
    await append({ headers: { 'stream-closed': 'true' } })
  } catch (error) {
    if (!(error instanceof HubError && error.code === 'cancelled')) throw error
  }

  async function append({ body, headers }: { body?: unknown; headers?: Record<string, string> }): Promise<void> {
    const numbered = { 'producer-id': 'server', 'producer-epoch': '0', 'producer-seq': String(seq++), ...headers }
    for (;;) {
      try {
        return await hub.request('POST', path, { body, headers: numbered, signal, ...SOON })
      } catch (error) {
        if (!(error instanceof HubError) || error.isFinal) throw error
        await delay(RETRY, undefined, { signal })
      }
    }
  }
}
