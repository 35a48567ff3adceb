/** The commands of a load process, and their results. */
import { writeAnswer, type AnswerPlan, type WrittenAnswer } from './answer-writer.js'
import { Audience, type AnswerReceived, type AudiencePlan } from './answer-readers.js'
import type { Appends, AppendsDone, AppendsPlan } from './appends.js'
import { publishBatches, type BatchesPlan } from './batches.js'
import { Http2Subscribers, type Http2Plan } from './http2-subscribers.js'
import { publishLines, type LinesPlan, type LinesPublished } from './lines.js'
import { Publishers, type Published, type PublisherPlan, type PublishPlan } from './publishers.js'
import { appendToStreams, type StreamAppendsPlan } from './stream-appends.js'
import { Subscribers, type Connected, type Received, type SubscribePlan } from './subscribers.js'

const groups = new Map<string, Subscribers>()
let publishers: Publishers | undefined
let appends: Appends | undefined
let http2Subscribers: Http2Subscribers | undefined
let audience: Audience | undefined

export const commands = {
  /** Opens the streams of a group of subscribers. */
  subscribe(plan: SubscribePlan): Promise<Connected> {
    const subscribers = new Subscribers(plan)
    groups.set(plan.group, subscribers)
    return subscribers.connect()
  },

  /** Makes a group stop reading. */
  async pause({ group }: { group: string }): Promise<void> {
    groupOf(group).pause()
  },

  /** Makes a group read again. */
  async resume({ group }: { group: string }): Promise<void> {
    groupOf(group).resume()
  },

  /** Resets the counts of a group, but not the cursors of its streams. */
  async clear({ group }: { group: string }): Promise<void> {
    groupOf(group).clear()
  },

  /** Waits until a group has received `expected` events, or none for `quiet` milliseconds. */
  receive({ group, expected, quiet }: { group: string; expected: number; quiet: number }): Promise<Received> {
    return groupOf(group).receive(expected, quiet)
  },

  /** Opens streams over HTTP/2. */
  openHttp2(plan: Http2Plan): Promise<void> {
    http2Subscribers = new Http2Subscribers(plan)
    return http2Subscribers.connect()
  },

  /** Returns the number of ended streams over HTTP/2. */
  async closedHttp2(): Promise<number> {
    return http2Subscribers?.closed ?? 0
  },

  async connectPublishers(plan: PublisherPlan): Promise<void> {
    publishers?.close()
    publishers = new Publishers(plan)
    await publishers.connect()
  },

  publish(plan: PublishPlan): Promise<Published> {
    if (!publishers) throw new Error('there are no publishers')
    return publishers.publish(plan)
  },

  /** Opens a log in this process. The code of the log is loaded only for this. */
  async openLog(plan: AppendsPlan): Promise<void> {
    const { Appends } = await import('./appends.js')
    appends = await Appends.open(plan)
  },

  append({ events }: { events: number }): Promise<AppendsDone> {
    if (!appends) throw new Error('no log is open')
    return appends.append(events)
  },

  publishLines(plan: LinesPlan): Promise<LinesPublished> {
    return publishLines(plan)
  },

  publishBatches(plan: BatchesPlan): Promise<number> {
    return publishBatches(plan)
  },

  appendToStreams(plan: StreamAppendsPlan): Promise<number> {
    return appendToStreams(plan)
  },

  /** Prepares the readers of answers. */
  async gatherAudience(plan: AudiencePlan): Promise<void> {
    audience = new Audience(plan)
  },

  /** Opens a stream of each reader. */
  openAnswer({ path }: { path: string }): Promise<void> {
    return audienceOf().open(path)
  },

  writeAnswer(plan: AnswerPlan): Promise<WrittenAnswer> {
    return writeAnswer(plan)
  },

  /** Waits for the end of the answer, and compares it with what was written. */
  compareAnswer({ text }: WrittenAnswer): Promise<AnswerReceived> {
    return audienceOf().compare(text)
  },

  /** Forgets the latencies of the answers so far. */
  async clearAnswers(): Promise<void> {
    audienceOf().clear()
  },

  /** Returns the latencies of all answers since `clearAnswers`. */
  async answerLatency(): Promise<Audience['latency']> {
    return audienceOf().latency
  },
}

export type Commands = typeof commands
export type CommandName = keyof Commands

function groupOf(name: string): Subscribers {
  const group = groups.get(name)
  if (!group) throw new Error(`there is no group ${name}`)
  return group
}

function audienceOf(): Audience {
  if (!audience) throw new Error('there are no readers of answers')
  return audience
}
