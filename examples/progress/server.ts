/** Starts jobs in worker processes, and publishes the end of jobs whose worker has died. */
import { fork, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { Hub } from 'fanfare-client'
import Type from 'typebox'
import type { Example } from '../shared/example.js'
import { newest, SOON } from '../shared/hub-access.js'
import { NewJob, topicOf, type Job, type JobEvent } from './job.js'
import type { Order } from './worker.js'

/** The maximum number of running jobs. */
const MOST = 3
/** The duration of a step, in milliseconds. */
const PACE = 500
/** The lifetime of a worker's token, in milliseconds: enough for its job, and for an outage of the hub. */
const TOKEN_LIFETIME = 24 * 60 * 60_000

const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url))

/** An accepted job. It has no worker until the hub has stored its first event. */
interface Running {
  worker?: ChildProcess
  isCancelled: boolean
}

export default {
  settings: { FANFARE_ANONYMOUS_SUBSCRIBE: 'jobs.*' },
  async serve(app, { hub, sign, speed, ending }) {
    const routes = app.withTypeProvider<TypeBoxTypeProvider>()
    const running = new Map<string, Running>()
    await failOrphans(hub, ending)

    routes.post('/jobs', { schema: { body: NewJob } }, async (request, reply) => {
      if (running.size >= MOST)
        return reply
          .code(409)
          .send({ message: `${MOST} jobs are running, and no more may run at once. Wait for one, or cancel one.` })
      const job: Job = { id: randomUUID(), name: request.body.name.trim(), steps: request.body.steps }
      const entry: Running = { isCancelled: false }
      running.set(job.id, entry)
      try {
        await tell({ ...job, state: 'running', step: 0 })
        if (!ending.aborted) entry.worker = start(job)
      } catch (err) {
        running.delete(job.id)
        throw err
      }
      return reply.code(201).send(job)
    })

    routes.delete('/jobs/:id', { schema: { params: Type.Object({ id: Type.String() }) } }, async (request, reply) => {
      const job = running.get(request.params.id)
      if (!job?.worker) return reply.code(404).send({ message: 'No running job has this id.' })
      job.isCancelled = true
      job.worker.kill('SIGTERM')
      return reply.code(204).send()
    })

    // `ending` has killed the workers: wait until they have exited.
    app.addHook('onClose', async () => {
      await Promise.all(
        [...running.values()].flatMap(({ worker }) =>
          worker ? new Promise((resolve) => worker.once('exit', resolve)) : [],
        ),
      )
    })

    function start(job: Job): ChildProcess {
      const worker = fork(WORKER, {
        execArgv: ['--import', import.meta.resolve('tsx')],
        signal: ending,
        killSignal: 'SIGKILL',
      })
      worker.on('error', (err) => {
        if (!ending.aborted) app.log.error(err, 'a worker has failed')
      })
      worker.once('exit', (code, signal) => {
        ended(job, code, signal).catch((err: unknown) => {
          if (!ending.aborted) app.log.error(err, 'the failure of a job was not published')
        })
      })
      const order: Order = {
        job,
        hub: hub.url,
        token: sign({ publish: [topicOf(job.id)] }, TOKEN_LIFETIME),
        pace: PACE / speed,
      }
      worker.send(order)
      return worker
    }

    async function ended(job: Job, code: number | null, signal: string | null): Promise<void> {
      const { isCancelled } = running.get(job.id)!
      running.delete(job.id)
      if (code === 0 || ending.aborted) return // the worker has published the end itself, or `failOrphans` will
      const reason =
        signal === null ? `Its worker ended with code ${String(code)}.` : `Its worker was ended by ${signal}.`
      await tell(
        { ...job, ...(isCancelled ? { state: 'cancelled' } : { state: 'failed', reason }) },
        { timeout: Infinity },
      )
    }

    async function tell(data: JobEvent, { timeout } = SOON): Promise<void> {
      await hub.publish(topicOf(data.id), { data }, { signal: ending, timeout })
    }
  },
} satisfies Example

/** Publishes the failure of jobs that were running when the server last ended: their workers are gone. */
async function failOrphans(hub: Hub, signal: AbortSignal): Promise<void> {
  const jobs = new Map<string, JobEvent>()
  for (const { data } of await newest<JobEvent>(hub, 'jobs.*', 1_000, { signal })) {
    const known = jobs.get(data.id)
    if (!known || known.state === 'running') jobs.set(data.id, data)
  }
  for (const job of jobs.values()) {
    if (job.state !== 'running') continue
    const data: JobEvent = { ...job, state: 'failed', reason: 'The server ended while it was running.' }
    await hub.publish(topicOf(job.id), { data }, { timeout: Infinity, signal })
  }
}
