/** A process with a hub on a folder that appends to a finite topic. It prints each number that was acknowledged. */
import { FolderCluster } from '../../src/cluster/folder.js'
import { Hub } from '../../src/hub/hub.js'
import { FileLog } from '../../src/log/lmdb/lmdb-log.js'

const [folder, topic] = process.argv.slice(2) as [string, string]
const retention = { events: 3, age: 1e12, bytes: 1e9, dedupWindow: 60_000 }
const log = await FileLog.open({ folder, durability: 'sync', retention, shared: true })
const hub = await Hub.open(log, {
  heartbeat: 1e9,
  maxAge: 0,
  maxEventSize: 1e6,
  presenceGrace: 0,
  maxCursorsPerSubject: 1,
  cursorTtl: 1e9,
  cluster: new FolderCluster(log.peers),
})
await hub.finite.create(topic, { contentType: 'text/plain' })
for (let seq = 0; ; seq++) {
  await hub.finite.append(topic, {
    messages: [{ kind: 'text', payload: `${seq};` }],
    producer: { id: 'p', epoch: 0, seq },
    lease: 1_000,
  })
  process.stdout.write(`${seq}\n`)
}
