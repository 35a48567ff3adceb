/**
 * A leader in another thread. A test can wait for its steps with `Atomics.wait`, so that they happen while the thread
 * of the replica is in the middle of its own work.
 */
import { Worker } from 'node:worker_threads'
import type { Test } from 'tap'
import type { Step } from './leader-worker.js'

export interface LeaderThread {
  /** Runs a step. Blocks this thread until the step is done. */
  run(step: Step): void
  /** Blocks the leader until `wake`. */
  freeze(): void
  wake(): void
}

/** Starts a leader of a folder. It ends when the test is over. */
export async function startLeaderThread(t: Test, folder: string): Promise<LeaderThread> {
  const state = new Int32Array(new SharedArrayBuffer(8))
  const worker = new Worker(new URL(import.meta.resolve('./leader-worker.js')), { workerData: { folder, state } })
  t.teardown(() => worker.terminate())
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  let steps = 0
  const run = (step: Step): void => {
    steps++
    worker.postMessage(step)
    if (Atomics.wait(state, 0, steps - 1, 60_000) === 'timed-out') throw new Error(`the leader does not ${step.kind}`)
  }
  return {
    run,
    freeze() {
      Atomics.store(state, 1, 1)
      run({ kind: 'freeze' })
    },
    wake() {
      Atomics.store(state, 1, 0)
      Atomics.notify(state, 1)
    },
  }
}
