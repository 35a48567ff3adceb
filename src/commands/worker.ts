/**
 * `fanfare worker <number> <instance>`: a process of a hub with `FANFARE_WORKERS`. The primary (`workers.ts`) starts
 * it, and ends it with a signal.
 */
import cluster, { type Worker } from 'node:cluster'
import { SameProcessIdError, StoreError } from '../log/lmdb/store-error.js'
import { SettingsError } from '../model/settings-error.js'
import { createLogger } from '../server/logger.js'
import { loadSettings } from '../settings.js'
import { UsageError, type Process } from './command.js'
import type { Address } from './listen.js'
import { serve } from './serve.js'
import type { Stop } from './stop.js'

/** A message of a worker to the primary. */
export type WorkerMessage =
  | { kind: 'listening'; address: Address }
  /**
   * The worker cannot start, and ends. `message` names the setting or the folder that is at fault. `hasTakenId`: a
   * worker with another process id can start.
   */
  | { kind: 'refused'; message: string; hasTakenId: boolean }

/** A message of the primary to a worker: end at once, as after a second signal. */
export interface ExitMessage {
  kind: 'exit'
  signal: NodeJS.Signals
}

/** Serves the hub until a signal ends the process, or the primary has ended. */
export async function work([number, instance]: string[], process: Process, stop: Stop): Promise<void> {
  const { worker } = cluster
  if (!worker || number === undefined || instance === undefined)
    throw new UsageError('worker is an internal command: set FANFARE_WORKERS, and run start.')
  let isRefused = false
  worker.on('message', ({ signal }: ExitMessage) => stop.force(signal))
  worker.on('disconnect', () => {
    worker.exitedAfterDisconnect = true // otherwise Node ends the process at once
    if (!isRefused) stop.begin('SIGTERM')
  })
  const settings = loadSettings(process.env)
  const logger = createLogger(settings.logLevel, process.stdout.isTTY)
  try {
    const address = await serve({ settings, logger, stop, secret: undefined }, { number, instance })
    if (!address) return
    const { text } = address
    logger.info(
      { worker: Number(number), address: text },
      `worker ${number} listens on ${text} (pid ${worker.process.pid ?? 0})`,
    )
    await tell(worker, { kind: 'listening', address })
  } catch (err) {
    if (!(err instanceof SettingsError || err instanceof StoreError)) throw err
    isRefused = true
    process.exitCode = 1
    await tell(worker, { kind: 'refused', message: err.message, hasTakenId: err instanceof SameProcessIdError })
    worker.process.disconnect()
  }
}

/** Sends a message. It may be lost if the primary has ended. */
function tell(worker: Worker, message: WorkerMessage): Promise<void> {
  return new Promise((resolve) => worker.process.send(message, undefined, undefined, () => resolve()))
}
