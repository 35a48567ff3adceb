/** Starts jobs in worker processes, and publishes the end of jobs whose worker has died. */
import { fork, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { HubEvent } from 'fanfare-client'
import Type from 'typebox'
import type { Example } from '../shared/example.js'
import { newest, SOON } from '../shared/hub-access.js'
import { NewJob, type Job, type JobEvent } from './job.js'
import type { Order } from './worker.js'

/** The maximum number of running jobs. */
const MOST = 3
const FULL = { message: `${MOST} jobs are running, and no more may run at once. Wait for one, or cancel one.` }
/** The duration of a step, in milliseconds. */
const PACE = 500
/** The lifetime of a worker's token, in milliseconds: enough for its job, and for an outage of the hub. */
const TOKEN_LIFETIME = 24 * 60 * 60_000
const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url))

export default {
  settings: { FANFARE_ANONYMOUS_SUBSCRIBE: 'jobs.*' },
  async serve(app, { hub, sign, speed, watch, ending: signal }) {
    /** The running jobs. A job has no worker until the hub has stored its first event. */
    const running = new Map<string, ChildProcess | undefined>()
    const cancelled = new Set<string>()
    const tell = (data: JobEvent, timeout = Infinity) => hub.publish(`jobs.${data.id}`, { data }, { signal, timeout })

    // Jobs that were running when the server last ended: their workers are gone.
    for (const job of unfinished(await newest<JobEvent>(hub, 'jobs.*', 1_000, { signal })))
      await tell({ ...job, state: 'failed', reason: 'The server ended while it was running.' })

    const routes = app.withTypeProvider<TypeBoxTypeProvider>()
    routes.post('/jobs', { schema: { body: NewJob } }, async ({ body: { name, steps } }, reply) => {
      if (running.size >= MOST) return reply.code(409).send(FULL)
      const job: Job = { id: randomUUID(), name: name.trim(), steps }
      running.set(job.id, undefined)
      try {
        await tell({ ...job, state: 'running', step: 0 }, SOON.timeout)
      } catch (err) {
        running.delete(job.id)
        throw err
      }
      watch(run(job), 'a job has failed')
      return reply.code(201).send(job)
    })

    routes.delete(
      '/jobs/:id',
      { schema: { params: Type.Object({ id: Type.String() }) } },
      ({ params: { id } }, reply) => {
        const worker = running.get(id)
        if (!worker) return reply.code(404).send({ message: 'No running job has this id.' })
        cancelled.add(id)
        worker.kill('SIGTERM')
        return reply.code(204).send()
      },
    )

    // `ending` has killed the workers: wait until they have exited.
    app.addHook('onClose', async () => {
      const workers = [...running.values()].filter((worker) => worker !== undefined)
      await Promise.all(workers.map((worker) => new Promise((done) => worker.once('exit', done))))
    })

    async function run(job: Job): Promise<void> {
      const worker = fork(WORKER, { execArgv: ['--import', import.meta.resolve('tsx')], signal, killSignal: 'SIGKILL' })
      running.set(job.id, worker)
      worker.on('error', (err) => watch(Promise.reject(err), 'a job has failed')) // its exit follows
      const exited = new Promise<[code: number | null, killedBy: string | null]>((done) => {
        worker.once('exit', (...ended) => done(ended))
      })
      const token = sign({ publish: [`jobs.${job.id}`] }, TOKEN_LIFETIME)
      worker.send({ job, hub: hub.url, token, pace: PACE / speed } satisfies Order)
      const [code, killedBy] = await exited
      running.delete(job.id)
      if (code === 0 || signal.aborted) return // the worker has published the end, or the next start does
      const reason = `Its worker ${killedBy === null ? `ended with code ${code}` : `was ended by ${killedBy}`}.`
      await tell({ ...job, ...(cancelled.delete(job.id) ? { state: 'cancelled' } : { state: 'failed', reason }) })
    }
  },
} satisfies Example

/** Returns the jobs without a final state. Events that a worker sent before its end may arrive later. */
function unfinished(events: HubEvent<JobEvent>[]): JobEvent[] {
  const jobs = new Map<string, JobEvent>()
  for (const { data } of events) if ((jobs.get(data.id)?.state ?? 'running') === 'running') jobs.set(data.id, data)
  return [...jobs.values()].filter(({ state }) => state === 'running')
}
