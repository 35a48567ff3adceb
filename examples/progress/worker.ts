/**
 * A job in its own process. It publishes its progress to the hub itself, not through the server that started it. While
 * the hub is down, the work continues and the progress waits.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { connect } from 'fanfare-client'
import type { Job, JobEvent } from './job.js'

/** The message of the server to a new worker. The token may publish only to the topic of the job. */
export interface Order extends Record<'hub' | 'token', string> {
  job: Job
  /** The duration of a step, in milliseconds. */
  pace: number
}

process.once('disconnect', () => process.exit(1)) // the server has ended, for any reason
process.once('message', (order: Order) => void run(order).then(() => process.exit(0)))

/** Runs a job. An error ends the process, and the server publishes the failure. */
async function run({ job, hub: url, token, pace }: Order): Promise<void> {
  const hub = connect(url, { token, maxWait: 1_000 })
  let published: Promise<unknown> = Promise.resolve()
  for (let step = 1; step <= job.steps; step++) {
    await delay(pace) // your application does its work here
    const data: JobEvent = { ...job, state: step < job.steps ? 'running' : 'done', step, pid: process.pid }
    published = published.then(() => hub.publish(`jobs.${job.id}`, { data }, { timeout: Infinity }))
  }
  await published
}
