/**
 * Publishes events at a steady rate. It does not wait for answers before the next event is due, and each event bears
 * the time at which it was due: a server that falls behind shows it as latency.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Agent as HttpAgent, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { CommandError } from '../command.js'
import { reasonOf } from '../http-client.js'
import { printable } from '../terminal.js'
import { microseconds } from './stamp.js'
import { fill, isForm, type Target } from './target.js'

/** The maximum number of connections. Further events wait for a free one. */
const CONNECTIONS = 32
/** How long a publish may take, in milliseconds. */
const TIMEOUT = 15_000

/** Sends one event. Resolves when the server has accepted it; rejects with the reason if it has not. */
export interface EventSender {
  send(topic: string, payload: string): Promise<void>
  close(): Promise<void>
}

/** Sends each event with a request of its own. */
export function requestSender({ publish, socketPath }: Target): EventSender {
  if (!publish) throw new TypeError('the target has no request for publishing')
  const { method, url, headers, body } = publish
  const isTls = url.startsWith('https:')
  const agent = new (isTls ? HttpsAgent : HttpAgent)({ keepAlive: true, maxSockets: CONNECTIONS })
  const isEncoded = isForm(headers)
  return {
    send: (topic, payload) =>
      new Promise((resolve, reject) => {
        const text = fill(body, topic, payload, isEncoded)
        const request = (isTls ? requestHttps : requestHttp)(
          fill(url, topic, payload, true),
          {
            method,
            agent,
            timeout: TIMEOUT,
            headers: { ...headers, 'content-length': String(Buffer.byteLength(text)) },
            ...(socketPath === undefined ? {} : { socketPath }),
          },
          (response) => {
            let answer = ''
            response.setEncoding('utf8').on('data', (part: string) => (answer += part))
            response.once('error', reject)
            response.once('end', () => {
              const { statusCode = 0 } = response
              if (statusCode < 300) resolve()
              else reject(new Error(`${statusCode} ${printable(answer.slice(0, 300))}`))
            })
          },
        )
        request.once('timeout', () => request.destroy(new Error('no answer in time')))
        request.once('error', reject)
        request.end(text)
      }),
    close: async () => agent.destroy(),
  }
}

/** Starts a command in a shell, and writes the payload of each event as a line to its standard input. */
export function commandSender(command: string, stderr: NodeJS.WriteStream): EventSender {
  const child: ChildProcess = spawn(command, { shell: true, stdio: ['pipe', 'ignore', 'pipe'] })
  child.stderr?.pipe(stderr, { end: false })
  const { stdin } = child
  if (!stdin) throw new TypeError('the command has no standard input')
  const ended = once(child, 'close').then(([code, signal]: unknown[]) => {
    throw new CommandError(`The command that publishes has ended (${String(code ?? signal)}).`)
  })
  ended.catch(() => undefined) // reported by `send`
  stdin.on('error', () => undefined) // it has ended
  return {
    send: (_topic, payload) =>
      Promise.race([ended, new Promise<void>((resolve) => stdin.write(`${payload}\n`, () => resolve()))]),
    close: async () => {
      stdin.end()
      await ended.catch(() => undefined)
    },
  }
}

export interface Pace {
  /** Events per second. */
  rate: number
  /** How long to publish, in milliseconds. */
  time: number
  signal: AbortSignal
}

/** How late an event may leave for the timer of this process, in microseconds. More is a stall, which counts. */
const TIMER = 5_000

/** Returns the time of an event that is due: now, or when it was due after a stall. In microseconds. */
function timeOf(due: number, now: number): number {
  return now - due < TIMER ? now : due
}

/** The events that were published, and the refusals. */
export class Publisher {
  /** The number of events of each topic, which are numbered from 0. */
  readonly counts: number[]
  accepted = 0
  failed = 0
  /** The first refusal. */
  failure: string | undefined
  /** When the events of each topic were accepted, in microseconds. */
  readonly #acceptedAt: number[][]
  readonly #pending = new Set<Promise<void>>()
  readonly #sender: EventSender
  readonly #topics: readonly string[]
  readonly #payload: (number: number, at: number) => string

  /** @param payload returns the payload of an event by its number and its time in microseconds */
  constructor(sender: EventSender, topics: readonly string[], payload: (number: number, at: number) => string) {
    this.#sender = sender
    this.#topics = topics
    this.#payload = payload
    this.counts = topics.map(() => 0)
    this.#acceptedAt = topics.map(() => [])
  }

  /** Publishes until the time is over or the signal aborts, and waits for the answers. */
  async run({ rate, time, signal }: Pace): Promise<void> {
    const now = microseconds
    const start = now()
    const total = Math.round((rate * time) / 1e3)
    for (let sent = 0; sent < total && !signal.aborted;) {
      const due = Math.min(total, Math.floor(((now() - start) / 1e6) * rate) + 1)
      for (; sent < due; sent++) this.#publish(sent, timeOf(start + Math.round((sent / rate) * 1e6), now()))
      const nextAt = start + (sent / rate) * 1e6
      await new Promise((resolve) => setTimeout(resolve, Math.max(1, (nextAt - now()) / 1e3)))
    }
    await Promise.all(this.#pending)
  }

  /** Returns when the server accepted an event, in microseconds; `undefined` if it has not. */
  acceptedAt(topic: number, number: number): number | undefined {
    return this.#acceptedAt[topic]?.[number]
  }

  #publish(index: number, at: number): void {
    const topic = index % this.#topics.length
    const number = this.counts[topic] ?? 0
    this.counts[topic] = number + 1
    const sending = this.#sender
      .send(this.#topics[topic] ?? '', this.#payload(number, at))
      .then(() => {
        this.accepted++
        const times = this.#acceptedAt[topic]
        if (times) times[number] = microseconds()
      })
      .catch((err: unknown) => {
        this.failed++
        this.failure ??= reasonOf(err)
      })
      .finally(() => this.#pending.delete(sending))
    this.#pending.add(sending)
  }
}
