/** Requests to NATS whose answers are handled synchronously, in order with the other messages of the connection. */
import { createInbox, type Msg, type MsgHdrs, type Subscription } from '@nats-io/transport-node'
import type { NatsLink } from '../../nats/nats-link.js'

interface Pending {
  onMessage: (message: Msg) => void
  reject: (err: Error) => void
}

export interface SendOptions {
  headers?: MsgHdrs
  /** In milliseconds. */
  timeout: number
}

/** Handles a message of an answer, and settles the request with the last one. */
export type OnAnswer<T> = (message: Msg, resolve: (value: T) => void) => void

/** The error of a request without a responder. Nothing was stored. */
export class NoResponderError extends Error {}

export class Requests {
  readonly #link: NatsLink
  readonly #inbox = createInbox()
  readonly #subscription: Subscription
  readonly #pending = new Map<string, Pending>()
  readonly #unwatch: () => void
  #count = 0

  constructor(link: NatsLink) {
    this.#link = link
    this.#subscription = link.connection.subscribe(`${this.#inbox}.*`, {
      callback: (err, message) => {
        if (!err) this.#pending.get(message.subject.slice(this.#inbox.length + 1))?.onMessage(message)
      },
    })
    this.#unwatch = link.watch((isUp) => {
      if (!isUp) this.#rejectAll('the connection has broken')
    })
  }

  /**
   * Sends a request. It is rejected when the connection breaks, since the answer is then lost.
   * @param onAnswer may throw, which rejects the request
   */
  send<T>(
    subject: string,
    payload: string | Uint8Array,
    { headers, timeout }: SendOptions,
    onAnswer: OnAnswer<T>,
  ): Promise<T> {
    const token = String(++this.#count)
    return new Promise<T>((resolve, reject) => {
      const finish = (settle: () => void): void => {
        clearTimeout(timer)
        this.#pending.delete(token)
        settle()
      }
      const refuse = (err: Error): void => finish(() => reject(err))
      const timer = setTimeout(() => refuse(new Error('it has not answered in time')), timeout)
      this.#pending.set(token, {
        reject: refuse,
        onMessage: (message) => {
          if (message.data.length === 0 && message.headers?.code === 503)
            return refuse(new NoResponderError('no server is responsible for the stream'))
          try {
            onAnswer(message, (value) => finish(() => resolve(value)))
          } catch (err) {
            refuse(err as Error)
          }
        },
      })
      const reply = `${this.#inbox}.${token}`
      try {
        this.#link.connection.publish(subject, payload, { reply, ...(headers && { headers }) })
      } catch (err) {
        refuse(err as Error)
      }
    })
  }

  close(): void {
    this.#unwatch()
    this.#subscription.unsubscribe()
    this.#rejectAll('the log is closed')
  }

  #rejectAll(reason: string): void {
    for (const { reject } of this.#pending.values()) reject(new Error(reason))
  }
}
