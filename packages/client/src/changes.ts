/**
 * Changes an open stream without a reconnect: its topics (`PATCH /connections/{id}`) and its token
 * (`PUT /connections/{id}/token`). Finds the topics because of which the hub refuses a stream or a change.
 */
import { backoff, delay } from './backoff.js'
import { isFinal } from './errors.js'
import type { Http } from './http.js'
import { keepRenewing } from './renewal.js'
import type { OpenStream, StreamUser } from './shared-stream.js'
import { vet } from './vet.js'

/** The wait after a change of topics that has failed, in milliseconds. */
const RETRY = 1_000

export interface Changes {
  /** Gives the stream the topics that its user wants. Does nothing if it has them, or is not live. */
  change(): Promise<void>
  /** Tells the user which topics the hub refuses. Resolves with `false` if it refuses none of them alone. */
  refuse(patterns: readonly string[]): Promise<boolean>
  /** Renews the token of the stream, until it is another stream or `stop` is called. */
  keepToken(): void
  stop(): void
}

export function createChanges(http: Http, user: StreamUser, stream: OpenStream): Changes {
  const { options } = http
  let isChanging = false
  let renewing = new AbortController()
  /** A ticket opens streams only, and a stream without a subject cannot be changed. */
  let canChange = !options.tickets && Boolean(options.token ?? options.cookies)

  const pause = (): Promise<void> => delay(backoff(RETRY, 0, options.maxWait))

  async function refuse(patterns: readonly string[]): Promise<boolean> {
    try {
      return await vet(http, user.query, patterns, user.onRefused)
    } catch {
      await pause()
      return true // asked again with the next attempt
    }
  }

  async function change(): Promise<void> {
    const { reader, held } = stream
    if (isChanging || !stream.isLive || !reader) return
    const wanted = user.wanted()
    const subscribe = wanted.filter((pattern) => !held.includes(pattern))
    const unsubscribe = held.filter((pattern) => !wanted.includes(pattern))
    if (wanted.length === 0 || subscribe.length + unsubscribe.length === 0) return
    if (!canChange) {
      if (subscribe.length === 0) return // the topics go with the next reconnect
      stream.held = wanted
      reader.restart()
      return
    }
    isChanging = true
    try {
      const path = `connections/${stream.connection}`
      const { topics } = await http.request<{ topics: string[] }>('PATCH', path, { body: { subscribe, unsubscribe } })
      stream.held = topics
    } catch (error) {
      if (!isFinal(error)) await pause()
      else if (error.status === 404)
        reader.restart() // it has ended, and this side has not noticed yet
      else if (!(await refuse(subscribe))) canChange = false
    }
    isChanging = false
    void change()
  }

  return {
    change,
    refuse,
    keepToken() {
      renewing.abort()
      renewing = new AbortController()
      void keepRenewing(http, stream.connection, renewing.signal, () => stream.reader?.restart())
    },
    stop: () => renewing.abort(),
  }
}
