import { setTimeout as delay } from 'node:timers/promises'

/**
 * How long a condition may take to come true before a test gives up, unless it says otherwise: generous, for a busy
 * machine.
 */
export const DEADLINE = 30_000

/** Settles as `promise` does, or rejects after `ms` with what `describe` says. */
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
 * Asks again and again until the answer is not `undefined`, and returns it. For what can only be asked for (a status, a
 * file under /proc), never for what announces itself.
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
