/**
 * Reads messages of a stream by their sequences. Any server with a replica of the stream may answer, and may lag
 * behind.
 */
import type { Msg } from '@nats-io/transport-node'
import type { OnAnswer, Requests } from './requests.js'

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

export class DirectGet {
  readonly #requests: Requests
  readonly #subject: string
  readonly #timeout: number

  constructor(requests: Requests, stream: string, timeout: number) {
    this.#requests = requests
    this.#subject = `$JS.API.DIRECT.GET.${stream}`
    this.#timeout = timeout
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
      else resolve(messages) // 204: these were all; 404: there are none
    })
  }

  #request<T>(body: object, onAnswer: OnAnswer<T>): Promise<T> {
    return this.#requests.send(this.#subject, JSON.stringify(body), { timeout: this.#timeout }, onAnswer)
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
