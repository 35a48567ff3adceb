/**
 * Logs when the process runs out of file descriptors. libuv then closes every connection that it accepts, without an
 * error (`uv__emfile_trick` in its src/unix/stream.c), so this file opens a descriptor from time to time to find out.
 */
import { closeSync, openSync, readFileSync } from 'node:fs'
import type { Logger } from 'pino'

/**
 * How many descriptors a process needs besides its streams: for standard streams, the event loop, the log and other
 * requests.
 */
const BESIDE_STREAMS = 100
/** The interval between two probes, and the minimum time between two log messages, in milliseconds. */
const PROBE_INTERVAL = 1_000
const SILENCE = 60_000

/** Warns if the limit of descriptors is too low for the maximum number of streams. */
export function warnOfDescriptorLimit(maxConnections: number, logger: Logger): void {
  const limit = descriptorLimit()
  if (limit === undefined || limit >= maxConnections + BESIDE_STREAMS) return
  logger.warn(
    { limit, setting: 'FANFARE_MAX_CONNECTIONS' },
    `the process may open ${limit} files, which is too few for ${maxConnections} streams: raise the limit (ulimit -n, LimitNOFILE=, ulimits:), or lower FANFARE_MAX_CONNECTIONS`,
  )
}

/** Logs while no descriptor is left, at most once a minute. */
export function watchDescriptors(logger: Logger): void {
  let silentUntil = 0
  setInterval(() => {
    const failure = probe()
    if (failure === undefined || performance.now() < silentUntil) return
    silentUntil = performance.now() + SILENCE
    logger.error(
      { err: failure, limit: descriptorLimit() },
      'no file descriptor is left: new connections are closed without an answer. Raise the limit (ulimit -n), or lower FANFARE_MAX_CONNECTIONS',
    )
  }, PROBE_INTERVAL).unref()
}

/** Returns the error if no file can be opened; `undefined` otherwise. */
function probe(): Error | undefined {
  try {
    closeSync(openSync('/dev/null', 'r'))
  } catch (err) {
    const { code } = err as NodeJS.ErrnoException
    if (code === 'EMFILE' || code === 'ENFILE') return err as Error
  }
  return undefined
}

/** Returns how many files the process may open (proc_pid_limits(5)); `undefined` if unknown or unlimited. */
function descriptorLimit(): number | undefined {
  try {
    const [, limit] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return limit === undefined ? undefined : Number(limit)
  } catch {
    return undefined
  }
}
