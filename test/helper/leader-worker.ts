/**
 * The thread of `leader-thread.ts`. It counts its finished steps in the first element of `state`. While the second is
 * 1, the thread is frozen.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { event } from '../../src/log/contract/events.js'
import { FileLog } from '../../src/log/lmdb/lmdb-log.js'

export type Step =
  /** Closes the log, opens it again and appends events: the replicas of the old leader miss them. */
  | { kind: 'return with events'; topic: string; count: number }
  | { kind: 'purge'; topic: string }
  | { kind: 'freeze' }
  | { kind: 'close' }

const { folder, state } = workerData as { folder: string; state: Int32Array }
const port = parentPort!

function open(): Promise<FileLog> {
  const retention = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 60_000 }
  return FileLog.open({ folder, durability: 'commit', retention, shared: true, sameProcess: true })
}

let log = await open()

async function perform(step: Step): Promise<void> {
  if (step.kind === 'freeze') return
  if (step.kind === 'purge') {
    await log.purge(step.topic)
    return
  }
  await log.close()
  if (step.kind === 'close') return
  log = await open()
  await log.append(Array.from({ length: step.count }, () => event(step.topic)))
}

port.on('message', (step: Step) => {
  void perform(step).then(() => {
    Atomics.add(state, 0, 1)
    Atomics.notify(state, 0)
    if (step.kind === 'freeze') Atomics.wait(state, 1, 1)
  })
})
port.postMessage('ready')
