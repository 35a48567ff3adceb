/**
 * Says in the log when the process runs out of descriptors. libuv then closes every connection that it accepts, and
 * tells nobody (`uv__emfile_trick` in its src/unix/stream.c), so this asks for a descriptor now and then.
 */
import { closeSync, openSync, readFileSync } from 'node:fs'
import type { Logger } from 'pino'

/**
 * What a process opens besides its streams: standard streams, the event loop's, the log's, and requests that are no
 * streams.
 */
const BESIDE_STREAMS = 100
/**
 * How often a descriptor is asked for, and how long the log is silent after it has said that there is none; in
 * milliseconds.
 */
const PROBE_INTERVAL = 1_000
const SILENCE = 60_000

/**
 * Warns when there may be more streams than the process may have descriptors, where the system says how many these are.
 */
export function warnOfDescriptorLimit(maxConnections: number, logger: Logger): void {
  const limit = descriptorLimit()
  if (limit === undefined || limit >= maxConnections + BESIDE_STREAMS) return
  logger.warn(
    { limit, setting: 'FANFARE_MAX_CONNECTIONS' },
    `the process may open ${limit} files, too few for ${maxConnections} streams: raise the limit (ulimit -n, LimitNOFILE=, ulimits:), or lower FANFARE_MAX_CONNECTIONS`,
  )
}

/** Logs when no descriptor is left, at most once a minute. */
export function watchDescriptors(logger: Logger): void {
  let silentUntil = 0
  setInterval(() => {
    const failure = probe()
    if (failure === undefined || performance.now() < silentUntil) return
    silentUntil = performance.now() + SILENCE
    logger.error(
      { err: failure, limit: descriptorLimit() },
      'no descriptor is left: new connections are closed unanswered. Raise the limit (ulimit -n), or lower FANFARE_MAX_CONNECTIONS',
    )
  }, PROBE_INTERVAL).unref()
}

/** Returns the error when no file can be opened. */
function probe(): Error | undefined {
  try {
    closeSync(openSync('/dev/null', 'r'))
  } catch (err) {
    const { code } = err as NodeJS.ErrnoException
    if (code === 'EMFILE' || code === 'ENFILE') return err as Error
  }
  return undefined
}

/**
 * Returns how many files the process may open; `undefined` where that is not known, or unlimited (proc_pid_limits(5)).
 */
function descriptorLimit(): number | undefined {
  try {
    const [, limit] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return limit === undefined ? undefined : Number(limit)
  } catch {
    return undefined
  }
}
