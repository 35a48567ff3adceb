/** The commands of a load process, and their results. */
import type { Appends, AppendsDone, AppendsPlan } from './appends.js'
import { publishBatches, type BatchesPlan } from './batches.js'
import { publishLines, type LinesPlan, type LinesPublished } from './lines.js'
import { Publishers, type Published, type PublisherPlan, type PublishPlan } from './publishers.js'
import { Subscribers, type Connected, type Received, type SubscribePlan } from './subscribers.js'

const groups = new Map<string, Subscribers>()
let publishers: Publishers | undefined
let appends: Appends | undefined

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
}

export type Commands = typeof commands
export type CommandName = keyof Commands

function groupOf(name: string): Subscribers {
  const group = groups.get(name)
  if (!group) throw new Error(`there is no group ${name}`)
  return group
}
