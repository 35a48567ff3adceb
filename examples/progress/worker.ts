/**
 * A job in its own process. It publishes its progress to the hub itself, not through the server that started it. While
 * the hub is down, the work continues and the progress waits.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { HubPublisher } from '../shared/hub-client.js'
import { topicOf, type Job, type JobEvent } from './job.js'

/** What the server sends it. */
export interface Order {
  job: Job
  hub: string
  /** May publish to the job's topic and to no other. */
  token: string
  /** How long a step takes, in milliseconds. */
  pace: number
}

process.once('disconnect', () => process.exit(1)) // the server is gone, however it ended
process.once('message', (order: Order) => void run(order).then(() => process.exit(0)))

/** Whatever is thrown ends the process, and the server says so. */
async function run({ job, hub, token, pace }: Order): Promise<void> {
  const publisher = new HubPublisher(hub, token)
  let published: Promise<unknown> = Promise.resolve()
  for (let step = 1; step <= job.steps; step++) {
    await delay(pace) // in your application this is the work
    const data: JobEvent = { ...job, state: step < job.steps ? 'running' : 'done', step, pid: process.pid }
    published = published.then(() => publisher.publish(topicOf(job.id), { data }, { patience: Infinity }))
  }
  await published
}
