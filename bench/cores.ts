/** Which core a process runs on: the hub and its load must not share one, or each would measure the other. */
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

export type Role = 'hub' | 'load'

const CORES: Record<Role, number> = { hub: 0, load: 1 }

const canPin = availableParallelism() > CORES.load && spawnSync('taskset', ['--version']).status === 0

/** The command that runs `command` on the core of its role, or anywhere when it cannot be chosen. */
export function onCore(role: Role, command: string[]): [program: string, ...args: string[]] {
  const [program, ...args] = canPin ? ['taskset', '-c', String(CORES[role]), ...command] : command
  return [program!, ...args]
}

/** Says where the processes run, for the head of the table. */
export function describeCores(): string {
  return canPin
    ? `hub on core ${CORES.hub}, load on core ${CORES.load}`
    : 'not pinned to cores (no taskset, or one core)'
}
