/** Many subscribers of one server, each with a connection of its own. */
import { request as requestHttp, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import { CommandError } from '../command.js'
import { EXIT } from '../exit-codes.js'
import { reasonOf } from '../http-client.js'
import { printable } from '../terminal.js'
import type { Deliveries } from './deliveries.js'
import { microseconds, type Stamps } from './stamp.js'
import { fill, type Target } from './target.js'

/** How many streams are being opened at a time. */
const AT_ONCE = 50
/** How long a stream may take to open, in milliseconds. */
const OPEN_TIMEOUT = 15_000
/** The time after the head at which a stream that has sent nothing counts as open, in milliseconds. */
const FIRST_BYTE = 1_000
/** How much of a refusal is shown. */
const SHOWN = 300

export class Subscribers {
  /** The number of streams that have ended before they should. */
  ended = 0
  readonly #target: Target
  readonly #topics: readonly string[]
  readonly #stamps: Stamps
  readonly #deliveries: Deliveries
  readonly #responses: IncomingMessage[] = []
  #isClosing = false

  /** @param topics the topics, which the subscribers use in turn */
  constructor(target: Target, topics: readonly string[], stamps: Stamps, deliveries: Deliveries) {
    this.#target = target
    this.#topics = topics
    this.#stamps = stamps
    this.#deliveries = deliveries
  }

  /**
   * Opens streams.
   * @param onOpen called with the number of open streams
   * @throws CommandError if a stream is refused, or ends at once
   */
  async open(count: number, signal: AbortSignal, onOpen: (open: number) => void): Promise<void> {
    let next = 0
    let open = 0
    const worker = async (): Promise<void> => {
      while (next < count && !signal.aborted) {
        await this.#open(next++)
        onOpen(++open)
      }
    }
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, worker))
    if (this.ended > 0)
      throw new CommandError(
        `${this.ended} of ${count} streams ended at once: the server has a limit of streams (Fanfare: FANFARE_MAX_CONNECTIONS_PER_SUBJECT, 100 by default, and FANFARE_MAX_CONNECTIONS).`,
      )
  }

  close(): void {
    this.#isClosing = true
    for (const response of this.#responses) response.destroy()
  }

  async #open(index: number): Promise<void> {
    const response = await this.#request(this.#topics[index % this.#topics.length] ?? '')
    if (response.statusCode !== 200) throw await refusalOf(response)
    this.#responses.push(response)
    let rest: Buffer = Buffer.alloc(0)
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, FIRST_BYTE)
      response.on('data', (chunk: Buffer) => {
        const at = microseconds()
        clearTimeout(timer)
        resolve()
        rest = this.#stamps.scan(rest.length === 0 ? chunk : Buffer.concat([rest, chunk]), (number, publishedAt) =>
          this.#deliveries.add(index, number, publishedAt, at),
        )
      })
      response.once('error', () => undefined) // `close` follows
      response.once('close', () => {
        if (!this.#isClosing) this.ended++
        clearTimeout(timer)
        resolve()
      })
    })
  }

  #request(topic: string): Promise<IncomingMessage> {
    const { subscribe, socketPath } = this.#target
    const url = new URL(fill(subscribe.url, topic, '', true))
    const send = url.protocol === 'https:' ? requestHttps : requestHttp
    return new Promise((resolve, reject) => {
      const request = send(
        url,
        { headers: subscribe.headers, agent: false, ...(socketPath === undefined ? {} : { socketPath }) },
        (response) => {
          request.setTimeout(0)
          resolve(response)
        },
      )
      request.setTimeout(OPEN_TIMEOUT, () => request.destroy(new Error('it does not answer')))
      request.once('error', (err) =>
        reject(new CommandError(`${url.host} cannot be reached: ${reasonOf(err)}.`, EXIT.unreachable)),
      )
      request.end()
    })
  }
}

async function refusalOf(response: IncomingMessage): Promise<CommandError> {
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) if ((body += chunk as string).length > SHOWN) break
  return new CommandError(
    `A stream is refused (${response.statusCode ?? 0}): ${printable(body.slice(0, SHOWN))}`,
    EXIT.refused,
  )
}
