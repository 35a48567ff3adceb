/** Runs the contract of logs inside tap: one subtest for each case. */
import type { Test } from 'tap'
import { logContract } from '../../src/log/contract/log-contract.js'
import type { LogUnderTest } from '../../src/log/contract/trial.js'

export async function testLog(t: Test, name: string, log: LogUnderTest): Promise<void> {
  await t.test(name, async (t) => {
    for (const { name, skip, run } of logContract(log)) {
      await t.test(name, { skip }, async (t) => {
        await run()
        t.pass('the log keeps the promise')
      })
    }
  })
}
