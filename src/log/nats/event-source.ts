/** Reads the payloads of indexed events from the stream. */
import type { ScannedEvent } from '../../model/event.js'
import { MsgHdrsImpl, type MsgHdrs } from '@nats-io/transport-node'
import type { FiniteNames } from '../finite-names.js'
import type { KeptEvent } from '../memory/kept-event.js'
import type { DirectGet, ReadMessage } from './direct-get.js'
import type { JetStream, RawMessage } from './jetstream.js'
import { readHead, toScanned, type Subjects } from './messages.js'

/** Events of several topics are read as one piece of the stream if at least one in this many is wanted. */
const SPARSE = 4
/** The maximum number of requests for a piece of the stream. After them, the rest is read one by one. */
const MAX_PIECES = 4

/** Reads events of the index, with their payloads. */
export class EventSource {
  readonly #jetstream: JetStream
  readonly #direct: DirectGet
  readonly #stream: string
  readonly #subjects: Subjects
  readonly #finite: FiniteNames

  constructor(jetstream: JetStream, direct: DirectGet, stream: string, subjects: Subjects, finite: FiniteNames) {
    this.#finite = finite
    this.#jetstream = jetstream
    this.#direct = direct
    this.#stream = stream
    this.#subjects = subjects
  }

  /**
   * Reads events, in the order of their sequences.
   * @returns each event by its sequence. Missing ones have been trimmed, or the server that answered lags behind
   */
  async read(wanted: readonly KeptEvent[]): Promise<Map<number, ScannedEvent>> {
    const found = new Map<number, ScannedEvent>()
    const bySequence = new Map(wanted.map((event) => [event.sequence, event]))
    const take = (read: ReadMessage): void => {
      const event = bySequence.get(read.sequence)
      const scanned = event && this.#toEvent(event, read)
      if (scanned) found.set(read.sequence, scanned)
    }
    const left = await this.#readPieces(wanted, take)
    await Promise.all(
      left.map(async ({ sequence }) => {
        const read = await this.#direct.one(sequence)
        if (read) take(read)
      }),
    )
    return found
  }

  /**
   * Reads an event from the leader of the stream; `undefined`: the stream no longer has it.
   * @throws Error if the leader does not know the event yet
   */
  async readFromLeader(wanted: KeptEvent): Promise<ScannedEvent | undefined> {
    const raw = (await this.#messageOf(wanted)) ?? (await this.#messageOfNewLeader(wanted))
    if (!raw) return undefined
    const headers = raw.hdrs === undefined ? undefined : MsgHdrsImpl.decode(Buffer.from(raw.hdrs, 'base64'))
    const data = Buffer.from(raw.data ?? '', 'base64')
    return this.#decode(wanted, { subject: raw.subject, time: Date.parse(raw.time), headers, data })
  }

  #messageOf({ sequence }: KeptEvent): Promise<RawMessage | undefined> {
    return this.#jetstream.message(this.#stream, sequence)
  }

  /** Reads an event again, after it was missing. A new leader may learn of the newest events a little late. */
  async #messageOfNewLeader(wanted: KeptEvent): Promise<RawMessage | undefined> {
    const { state } = await this.#jetstream.streamInfo(this.#stream)
    if (state.last_seq < wanted.sequence) throw new Error('its leader does not have the newest events yet')
    return this.#messageOf(wanted)
  }

  /**
   * Reads consecutive messages of the stream, if that costs less than reading one by one.
   * @returns the events that remain to be read
   */
  async #readPieces(wanted: readonly KeptEvent[], take: (read: ReadMessage) => void): Promise<readonly KeptEvent[]> {
    if (wanted.length < 2) return wanted
    const { topic } = wanted[0]!
    const isOneTopic = wanted.every((event) => event.topic === topic)
    const ofTopic = this.#finite.has(topic) ? this.#subjects.ofFinite(topic) : this.#subjects.of(topic)
    const filter = isOneTopic ? ofTopic : this.#subjects.all
    let left = wanted
    for (let pieces = 0; pieces < MAX_PIECES && left.length > 1; pieces++) {
      const first = left[0]!.sequence
      const last = left.at(-1)!.sequence
      const span = last - first + 1
      if (!isOneTopic && span > SPARSE * left.length) return left
      const batch = isOneTopic ? left.length : span
      const messages = await this.#direct.many({ seq: first, batch, next_by_subj: filter })
      for (const message of messages) take(message)
      const reached = messages.at(-1)?.sequence ?? 0
      if (reached < first) return left
      left = left.filter(({ sequence }) => sequence > reached)
    }
    return left
  }

  #toEvent(wanted: KeptEvent, { message, subject, time }: ReadMessage): ScannedEvent | undefined {
    const { headers, data } = message
    return this.#decode(wanted, { subject, time, headers, data })
  }

  /** Returns the event of a message; `undefined`: the message belongs to a stream that was created again. */
  #decode(
    { topic, sequence, time }: KeptEvent,
    read: { subject: string; time: number; headers: MsgHdrs | undefined; data: Uint8Array },
  ): ScannedEvent | undefined {
    const head = readHead(this.#subjects, read.subject, read.headers)
    if (head?.topic !== topic || read.time !== time) return undefined
    return toScanned(head, sequence, time, read.data)
  }
}
