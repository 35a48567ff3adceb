import type { Test } from 'tap'
import type { HubOptions } from '../../../src/hub/hub.js'
import { MemoryLog } from '../../../src/log/memory/memory-log.js'
import { LocalCluster, type LocalClusterOptions, type LocalNode } from '../../helper/local-cluster.js'
import { share } from '../../helper/shared-log.js'
import { openHubOn, type OpenHub } from '../open-hub.js'

/** A hub of a cluster, as in one process. */
export interface ClusterHub extends OpenHub {
  node: LocalNode
}

export interface OpenHubs {
  hubs: ClusterHub[]
  /** Starts a further hub. */
  start: () => Promise<ClusterHub>
}

/** Opens hubs on one log, as several processes. */
export async function openHubs(
  t: Test,
  count: number,
  { seed, timeout, ...options }: Partial<HubOptions> & LocalClusterOptions = {},
): Promise<OpenHubs> {
  const log = new MemoryLog({ events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 1e6 })
  t.teardown(() => log.close())
  const cluster = new LocalCluster({ ...(seed !== undefined && { seed }), ...(timeout !== undefined && { timeout }) })
  const start = async (): Promise<ClusterHub> => {
    const node = cluster.start()
    return { ...(await openHubOn(t, share(log), { ...options, cluster: node, version: '1.2.3' })), node }
  }
  const hubs: ClusterHub[] = []
  while (hubs.length < count) hubs.push(await start())
  return { hubs, start }
}
