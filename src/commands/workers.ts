/**
 * The primary of a hub with `FANFARE_WORKERS`: it starts the workers, replaces one that ends, and ends them all. It
 * accepts the connections of the port and deals them out in turn (`SCHED_RR`): if the workers accepted by themselves,
 * most streams would end up in the few that wake first. It holds no log and no streams.
 */
import cluster, { type Worker } from 'node:cluster'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { monotonicNow } from '../model/clock.js'
import { SettingsError } from '../model/settings-error.js'
import { socketPathOf } from '../server/listen-address.js'
import type { ProcessSettings } from '../settings.js'
import { watchDescriptors } from './descriptors.js'
import { removeStale, type Address } from './listen.js'
import { CLOSE_GRACE, type HubStart } from './serve.js'
import type { ExitMessage, WorkerMessage } from './worker.js'

/** A worker that ends within this time after its start is replaced after a pause, in milliseconds. */
const SHORT_LIFE = 10_000
/** The first pause, which doubles each time, and the longest; in milliseconds. */
const FIRST_PAUSE = 100
const LONGEST_PAUSE = 10_000
/** How often a worker is started again because a process of the folder has its id, in another PID namespace. */
const MAX_TRIES = 20
/** The time that the hub may take to close beyond that of a worker, in milliseconds. */
const EXIT_GRACE = 1_000
/** How long workers may take to end at once, in milliseconds. `Stop` gives the primary 2 s. */
const HALT_TIME = 1_000

/**
 * Returns the number of processes that the settings ask for.
 * @throws SettingsError if the log or a surrounding cluster does not allow several
 */
export function countWorkers({ workers, hub }: ProcessSettings): number {
  const count = workers === 0 ? availableParallelism() : workers
  if (count === 1) return 1
  if (hub.log === 'memory') {
    throw new SettingsError(
      `FANFARE_WORKERS asks for ${count} processes, and with FANFARE_LOG=memory each would have a log of its own: set FANFARE_LOG=file:<folder>, or FANFARE_WORKERS=1.`,
    )
  }
  if (!cluster.isPrimary) {
    throw new SettingsError(
      `FANFARE_WORKERS asks for ${count} processes, but this process is itself a worker of a cluster (such as pm2's cluster mode), which starts the others: set the number there, and FANFARE_WORKERS=1.`,
    )
  }
  return count
}

/**
 * Runs a hub in several workers, until `stop` ends the process.
 * @returns the address once all workers listen; `undefined` if a signal ends the hub before
 * @throws SettingsError with the message of a worker that cannot start
 */
export async function runWorkers(
  { settings, logger, stop, secret }: HubStart,
  count: number,
): Promise<Address | undefined> {
  const socketPath = socketPathOf(settings.host)
  if (socketPath !== undefined) await removeStale(socketPath)
  const time = settings.hub.drain + CLOSE_GRACE
  const workers = new Workers(logger, secret)
  stop.endBy({
    delay: time + EXIT_GRACE,
    logger,
    close: async ({ err, signal = 'SIGTERM' }) => {
      if (err) logger.fatal({ err }, 'stopping after an error')
      else logger.info({ signal, workers: count }, 'stopping all workers')
      await workers.stop(signal, time)
    },
    halt: () => workers.halt(),
  })
  if (stop.hasSignal()) return undefined
  watchDescriptors(logger)
  try {
    return await workers.start(count)
  } catch (err) {
    await workers.stop('SIGTERM', time)
    throw err
  }
}

type Refusal = Extract<WorkerMessage, { kind: 'refused' }>

/** How a worker has ended. */
interface End {
  code: number | null
  signal: NodeJS.Signals | null
  /** Whether it has listened. */
  hasListened: boolean
  /** Why it could not start. */
  refusal: Refusal | undefined
}

/** A running worker. */
interface Running {
  worker: Worker
  since: number
  listening: Promise<Address>
  ended: Promise<End>
}

class Workers {
  readonly #logger: Logger
  readonly #secret: string | undefined
  /** Tells the workers of this hub from those of other hubs that share its log. */
  readonly #instance = randomUUID()
  readonly #running = new Set<Running>()
  /** Ends the pauses before replacements. */
  readonly #stopping = new AbortController()

  /** @param secret the secret for development, which all workers share */
  constructor(logger: Logger, secret: string | undefined) {
    this.#logger = logger
    this.#secret = secret
  }

  /**
   * Starts the first worker, then the others: if the settings have a fault, one worker finds it.
   * @returns `undefined` if the workers are stopped meanwhile
   * @throws SettingsError if a worker cannot start
   */
  async start(count: number): Promise<Address | undefined> {
    const address = await this.#startOne(1)
    const others = Array.from({ length: count - 1 }, (_, index) => this.#startOne(index + 2))
    const addresses = await Promise.all(others)
    return this.#isStopping() || addresses.includes(undefined) ? undefined : address
  }

  /**
   * Drains and ends all workers. Kills those that have not ended within a time, such as frozen ones.
   * @param time in milliseconds
   * @throws Error if a worker does not end gracefully
   */
  async stop(signal: NodeJS.Signals, time: number): Promise<void> {
    this.#stopping.abort()
    const running = [...this.#running]
    for (const { worker } of running) worker.process.kill(signal)
    const timer = new AbortController()
    const late = delay(time, undefined, { signal: timer.signal }).catch(() => undefined)
    const ended = Promise.all(running.map(({ ended }) => ended))
    await Promise.race([late, ended])
    timer.abort()
    for (const { worker } of this.#running) {
      const { pid } = worker.process
      this.#logger.error(
        { workerPid: pid },
        `the worker with pid ${pid ?? 0} has not ended in ${time} ms: it is killed`,
      )
      worker.process.kill('SIGKILL')
    }
    if ((await ended).some(({ code, hasListened }) => hasListened && code !== 0))
      throw new Error('a worker did not end gracefully')
  }

  /** Ends all workers at once. */
  async halt(): Promise<void> {
    this.#stopping.abort()
    const running = [...this.#running]
    for (const { worker } of running)
      if (worker.isConnected()) worker.send({ kind: 'exit', signal: 'SIGTERM' } satisfies ExitMessage)
    const late = delay(HALT_TIME, undefined, { ref: false })
    await Promise.race([late, Promise.all(running.map(({ ended }) => ended))])
    for (const { worker } of this.#running) worker.process.kill('SIGKILL')
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted
  }

  /**
   * Starts a worker. Once it listens, it is replaced each time it ends.
   * @returns its address once it listens; `undefined` if it is stopped before
   * @throws SettingsError if it ends before it listens
   */
  async #startOne(number: number): Promise<Address | undefined> {
    for (let tries = 1; !this.#isStopping(); tries++) {
      const running = this.#fork(number)
      const result = await Promise.race([running.listening, running.ended])
      if ('text' in result) {
        void this.#keep(number, running)
        return result
      }
      if (this.#isStopping()) break
      const { refusal } = result
      if (refusal?.hasTakenId && tries < MAX_TRIES) continue
      throw new SettingsError(refusal?.message ?? `Worker ${number} has ended (${endOf(result)}) before it listened.`)
    }
    return undefined
  }

  /** Replaces a worker each time it ends. */
  async #keep(number: number, first: Running): Promise<void> {
    let pause = 0
    for (let running = first; ;) {
      const end = await running.ended
      if (this.#isStopping()) return
      const isYoung = monotonicNow() - running.since < SHORT_LIFE
      pause = isYoung ? Math.min(Math.max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE) : 0
      const { pid } = running.worker.process
      this.#logger.error(
        { worker: number, workerPid: pid, code: end.code, signal: end.signal, pause, reason: end.refusal?.message },
        `worker ${number} (pid ${pid ?? 0}) has ended (${endOf(end)}): another starts in ${pause} ms`,
      )
      await delay(pause, undefined, { signal: this.#stopping.signal }).catch(() => undefined)
      if (this.#isStopping()) return
      running = this.#fork(number)
    }
  }

  #fork(number: number): Running {
    cluster.schedulingPolicy = cluster.SCHED_RR
    cluster.setupPrimary({ args: ['worker', String(number), this.#instance] })
    const worker = cluster.fork(this.#secret === undefined ? {} : { FANFARE_JWT_SECRET: this.#secret })
    closeLostConnection(worker)
    let hasListened = false
    let refusal: Refusal | undefined
    const listening = new Promise<Address>((resolve) => {
      worker.on('message', (message: WorkerMessage) => {
        if (message.kind === 'refused') refusal = message
        else {
          hasListened = true
          resolve(message.address)
        }
      })
    })
    const ended = hasEnded(worker).then(({ code, signal }) => {
      this.#running.delete(running)
      return { code, signal, hasListened, refusal }
    })
    const running = { worker, since: monotonicNow(), listening, ended }
    this.#running.add(running)
    return running
  }
}

/** Resolves when a worker has ended and all its messages have arrived. */
async function hasEnded(worker: Worker): Promise<Pick<End, 'code' | 'signal'>> {
  try {
    const [[code, signal]] = (await Promise.all([once(worker, 'exit'), once(worker, 'disconnect')])) as [
      [number | null, NodeJS.Signals | null],
      unknown,
    ]
    return { code, signal }
  } catch {
    return { code: null, signal: null } // it was not started, for example for lack of memory
  }
}

function endOf({ code, signal }: End): string {
  return signal ?? (code === null ? 'not started' : `code ${code}`)
}

/**
 * Closes the connection that a worker was given and has not taken when it ends. Node keeps such a connection open,
 * without an answer. A worker gets the next connection only when it has acknowledged the last one.
 */
function closeLostConnection({ process: child }: Worker): void {
  let given: { close(): void } | undefined
  const send = child.send.bind(child) as (message: unknown, handle?: unknown, ...rest: unknown[]) => boolean
  child.send = (message: unknown, handle?: unknown, ...rest: unknown[]) => {
    if ((message as { act?: unknown }).act === 'newconn') given = handle as { close(): void }
    return send(message, handle, ...rest)
  }
  child.on('internalMessage', (message: { accepted?: unknown }) => {
    if (message.accepted !== undefined) given = undefined
  })
  child.once('exit', () => given?.close())
}
