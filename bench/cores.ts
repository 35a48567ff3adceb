/**
 * Pins a hub of one process and its load to different cores. On one core, each would slow the other down. A hub of
 * several processes and its load share all cores.
 */
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

/** `any`: the process is not pinned. */
export type Role = 'hub' | 'load' | 'any'

const CORES = { hub: 0, load: 1 }

const canPin = availableParallelism() > CORES.load && spawnSync('taskset', ['--version']).status === 0

/** Returns the command that runs `command` on the core of its role; on any core if processes cannot be pinned. */
export function onCore(role: Role, command: string[]): [program: string, ...args: string[]] {
  const [program, ...args] = canPin && role !== 'any' ? ['taskset', '-c', String(CORES[role]), ...command] : command
  return [program!, ...args]
}

/** Returns the cores of the processes in words, for the head of the table. */
export function describeCores(): string {
  return canPin
    ? `one hub on core ${CORES.hub} and its load on core ${CORES.load}, several hubs and their load on all cores`
    : 'not pinned to cores (no taskset, or one core)'
}
