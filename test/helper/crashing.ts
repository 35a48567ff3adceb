/** Hubs that a test kills at any moment, and that start again at the same address with the same log. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { poll } from './deadline.js'
import { startNats } from './nats.js'
import type { Random } from './random.js'
import { revivingHub, type RevivingHub } from './reviving-hub.js'

export interface Crashing {
  /** How many processes have been killed. */
  readonly kills: number
  /** Resolves with the address of a hub that listens. */
  url(): Promise<string>
  /** Kills one or more processes with SIGKILL, at once, and starts them again. */
  crash(numbers: Random): Promise<void>
  /** Whether a hub that runs may answer 503 meanwhile, since it does not write the log itself. */
  readonly refuses: boolean
}

/** The maximum time after which a process is killed while it starts, in milliseconds. */
const START = 500

/** Starts a hub that is killed, sometimes again while it starts. */
export async function crashingHub(t: Test, env: Record<string, string>): Promise<Crashing> {
  const hub = await revivingHub(t, env)
  return {
    refuses: false,
    get kills() {
      return hub.kills
    },
    async url() {
      await hub.listening()
      return hub.url
    },
    async crash(numbers) {
      await hub.kill()
      await startAgain(hub, numbers)
    },
  }
}

/** Two hubs on one folder. Clients use the replica, and the leader only while there is no replica. */
export interface CrashingPair extends Crashing {
  /** How often a replica has become the leader, because the leader was killed. */
  readonly takeovers: number
}

/** Starts two hubs on one folder, of which the leader, the replica or both are killed. */
export async function crashingPair(t: Test, env: Record<string, string>): Promise<CrashingPair> {
  let leader = await revivingHub(t, env)
  let replica = await revivingHub(t, env)
  const up = new Set([leader, replica])
  let takeovers = 0
  let crashes = 0

  async function kill(hub: RevivingHub): Promise<void> {
    up.delete(hub)
    await hub.kill()
  }
  async function start(hub: RevivingHub, numbers: Random): Promise<void> {
    await startAgain(hub, numbers)
    up.add(hub)
  }
  /** Finds out which hub leads now. */
  async function findLeader(): Promise<void> {
    const hubs = [leader, replica]
    leader = await poll(
      async () => hubs.find((hub) => leads(hub)),
      () => hubs.map(({ hub }) => hub.output()).join('\n'),
    )
    replica = hubs.find((hub) => hub !== leader)!
  }
  async function takesOver(survivor: RevivingHub): Promise<void> {
    await poll(
      async () => leads(survivor) || undefined,
      () => `the replica does not take over: ${survivor.hub.output()}`,
    )
  }
  await findLeader()

  return {
    refuses: true,
    get kills() {
      return leader.kills + replica.kills
    },
    get takeovers() {
      return takeovers
    },
    async url() {
      if (up.size === 0) await Promise.race([leader.listening(), replica.listening()])
      return up.has(replica) ? replica.url : leader.url
    },
    async crash(numbers) {
      const killed = [[leader], [replica], [leader], [leader, replica]][crashes++ % 4]!
      const survivor = killed.includes(replica) ? undefined : replica
      await Promise.all(killed.map(kill))
      if (survivor && crashes % 4 === 1) await takesOver(survivor) // otherwise both may want to lead
      await Promise.all(killed.map((hub) => start(hub, numbers)))
      await findLeader()
      if (leader === survivor) takeovers++
    },
  }
}

/** Starts a NATS server and a hub on it, of which the hub, the server or both are killed. */
export async function crashingNats(t: Test, env: Record<string, string>): Promise<Crashing> {
  const server = await startNats(t)
  const hub = await revivingHub(t, { ...env, FANFARE_LOG: server.address, FANFARE_NATS_TIMEOUT: '2s' })
  let serverKills = 0
  let crashes = 0
  return {
    refuses: true,
    get kills() {
      return hub.kills + serverKills
    },
    async url() {
      await hub.listening()
      return hub.url
    },
    async crash(numbers) {
      const killed = (['server', 'hub', 'both'] as const)[crashes++ % 3]
      const hubIsKilled = killed === 'server' ? undefined : hub.kill()
      if (killed !== 'hub') {
        serverKills++
        await server.kill()
        await delay(numbers.below(START)) // the server is away for any time
        await server.start()
      }
      await hubIsKilled
      if (killed !== 'server') await startAgain(hub, numbers)
    },
  }
}

/** Starts a hub, which is sometimes killed again before. */
async function startAgain(hub: RevivingHub, numbers: Random): Promise<void> {
  while (numbers.below(6) === 0) await hub.startAndKill(numbers.below(START))
  await hub.start()
}

/** Whether a hub has the role of the leader, by its log. */
function leads({ hub }: RevivingHub): boolean {
  return hub.logs().findLast(({ role }) => role !== undefined)?.['role'] === 'leader'
}
