import t from 'tap'
import { MemoryLog } from '../../src/log/memory/memory-log.js'
import { testLog } from '../contract/log.js'
import { DelayedLog } from '../helper/delayed-log.js'

let seed = 0
await testLog(t, 'a log that is as late as the contract allows', {
  open: (retention, clock, elapsed) => DelayedLog.open(new MemoryLog(retention, clock, elapsed), ++seed),
})
