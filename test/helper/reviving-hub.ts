/** A hub that is killed repeatedly, and restarted at the same address with the same folder. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { startCommand } from './command.js'
import { freePort } from './free-port.js'
import { startHub, type Hub } from './process.js'

export interface RevivingHub {
  readonly url: string
  /** The current process. */
  readonly hub: Hub
  /** How often the hub has been killed. */
  readonly kills: number
  /** Resolves when the hub listens. */
  listening(): Promise<void>
  /** Kills the hub with SIGKILL. */
  kill(): Promise<void>
  /** Starts the hub. @param changed settings from now on */
  start(changed?: Record<string, string>): Promise<void>
  /** Starts the hub, and kills it a number of milliseconds later, most likely before it listens. */
  startAndKill(after: number): Promise<void>
}

/** Starts a hub on a fixed port. `env` names its folder. */
export async function revivingHub(t: Test, env: Record<string, string>): Promise<RevivingHub> {
  const settings = { ...env, PORT: String(await freePort()) }
  let hub = await startHub(t, settings)
  let isUp = Promise.resolve()
  let wake: () => void = () => undefined
  let kills = 0

  return {
    url: hub.url,
    get hub() {
      return hub
    },
    get kills() {
      return kills
    },
    listening: () => isUp,
    async kill() {
      isUp = new Promise((resolve) => (wake = resolve))
      kills++
      await hub.kill()
    },
    async start(changed) {
      Object.assign(settings, changed)
      hub = await startHub(t, settings)
      wake()
    },
    async startAndKill(after) {
      const command = startCommand(t, [], { env: settings })
      for (const output of [command.stdout, command.stderr]) output.resume()
      await delay(after) // the test is about this moment
      command.kill('SIGKILL')
      kills++
      await command.exited
    },
  }
}
