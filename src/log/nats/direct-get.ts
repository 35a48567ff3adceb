/** Reads messages of a stream by their sequences. Any server that has the stream answers: it may lag behind. */
import { createInbox, type Msg, type Subscription } from '@nats-io/transport-node'
import type { NatsLink } from '../../nats/nats-link.js'

/** A message that was read. */
export interface ReadMessage {
  message: Msg
  subject: string
  sequence: number
  /** In milliseconds since the Unix epoch. */
  time: number
}

/** The request of several messages. */
export interface BatchRequest {
  /** The first sequence. */
  seq: number
  /** The maximum number of messages. */
  batch: number
  /** Their subject, which may have wildcards. */
  next_by_subj: string
}

interface Pending {
  onMessage: (message: Msg) => void
  reject: (err: Error) => void
}

export class DirectGet {
  readonly #link: NatsLink
  readonly #subject: string
  readonly #timeout: number
  readonly #inbox = createInbox()
  readonly #subscription: Subscription
  readonly #pending = new Map<string, Pending>()
  #requests = 0

  constructor(link: NatsLink, stream: string, timeout: number) {
    this.#link = link
    this.#subject = `$JS.API.DIRECT.GET.${stream}`
    this.#timeout = timeout
    this.#subscription = link.connection.subscribe(`${this.#inbox}.*`, {
      callback: (err, message) => {
        if (!err) this.#pending.get(message.subject.slice(this.#inbox.length + 1))?.onMessage(message)
      },
    })
  }

  /** Reads a message; `undefined`: the server that answers has none. */
  one(sequence: number): Promise<ReadMessage | undefined> {
    return this.#request({ seq: sequence }, (message, resolve) => {
      resolve(statusOf(message) === 0 ? asRead(message) : undefined)
    })
  }

  /** Reads several messages, in order. The server may answer with fewer than there are. */
  many(request: BatchRequest): Promise<ReadMessage[]> {
    const messages: ReadMessage[] = []
    return this.#request(request, (message, resolve) => {
      if (statusOf(message) === 0) messages.push(asRead(message))
      else resolve(messages) // 204: all have come; 404: there are none
    })
  }

  close(): void {
    this.#subscription.unsubscribe()
    for (const { reject } of this.#pending.values()) reject(new Error('the log is closed'))
  }

  #request<T>(body: object, onMessage: (message: Msg, resolve: (value: T) => void) => void): Promise<T> {
    const token = String(++this.#requests)
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => finish(() => reject(new Error('NATS does not answer'))), this.#timeout)
      const finish = (settle: () => void): void => {
        clearTimeout(timer)
        this.#pending.delete(token)
        settle()
      }
      this.#pending.set(token, {
        onMessage: (message) => {
          if (statusOf(message) === 503) finish(() => reject(new Error('no server has the stream')))
          else onMessage(message, (value) => finish(() => resolve(value)))
        },
        reject: (err) => finish(() => reject(err)),
      })
      this.#link.connection.publish(this.#subject, JSON.stringify(body), { reply: `${this.#inbox}.${token}` })
    })
  }
}

function statusOf({ headers }: Msg): number {
  return headers?.code ?? 0
}

function asRead(message: Msg): ReadMessage {
  const read: ReadMessage = { message, subject: '', sequence: 0, time: 0 }
  for (const [name, [value = '']] of message.headers ?? []) {
    if (name === 'Nats-Subject') read.subject = value
    else if (name === 'Nats-Sequence') read.sequence = Number(value)
    else if (name === 'Nats-Time-Stamp') read.time = Date.parse(value)
  }
  return read
}
