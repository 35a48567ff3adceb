import { setTimeout as delay } from 'node:timers/promises'

/** The default time limit of a condition, in milliseconds. It is generous, for a busy machine. */
export const DEADLINE = 60_000

/** Settles as `promise` does, or rejects after `ms` with the message of `describe`. */
export async function within<T>(promise: Promise<T>, describe: () => string, ms = DEADLINE): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${describe()}`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Calls `ask` until the answer is not `undefined`, and returns the answer. Use it only for states that cannot be
 * awaited, such as a status or a file under /proc.
 */
export async function poll<T>(ask: () => Promise<T | undefined>, describe: () => string, ms = DEADLINE): Promise<T> {
  const end = performance.now() + ms
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${describe()}`)
    await delay(5)
  }
}
