import t, { type Test } from 'tap'
import { FileLog } from '../../src/log/file.js'
import type { Durability } from '../../src/log/file/store.js'
import type { EventLog, Retention } from '../../src/log/log.js'
import { testLog } from '../contract/log.js'

for (const durability of ['sync', 'commit'] as const) await testFileLog(t, durability)

/** The contract, on a folder for each log. */
async function testFileLog(t: Test, durability: Durability): Promise<void> {
  const folders = new Map<EventLog, string>()
  const root = t.testdir({ [durability]: {} })
  let count = 0

  async function open(folder: string, retention: Retention, now: () => number): Promise<EventLog> {
    const log = await FileLog.open({ folder, durability, retention, now })
    folders.set(log, folder)
    return log
  }

  await testLog(
    t,
    `the file log (${durability})`,
    (retention, clock) => open(`${root}/${durability}/${++count}`, retention, clock),
    async (log, retention, clock) => {
      await log.close()
      return open(folders.get(log)!, retention, clock)
    },
  )
}
