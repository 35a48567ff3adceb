/** A network namespace. To the kernel it is a separate machine, which can vanish without a packet. */
import { spawnSync } from 'node:child_process'
import type { Test } from 'tap'

export interface Namespace {
  /** The address of this machine in the namespace. */
  readonly host: string
  /** The prefix of a command line that runs a program in the namespace. */
  readonly prefix: readonly string[]
  /** Drops everything that the namespace sends, without a notice to anyone. */
  vanish(): void
}

/** Why tests with a namespace are skipped, or `false`. */
export const skipNamespace: string | false = whyNot()

/** Creates a namespace that is connected to this machine. It is removed when the test is over. */
export function makeNamespace(t: Test): Namespace {
  const name = `fanfare-${process.pid}`
  const [near, far] = [`ff${process.pid}a`, `ff${process.pid}b`]
  const subnet = `198.18.${(process.pid >> 6) & 0xff}` // 198.18.0.0/15 is for tests of networks (RFC 2544)
  const block = (process.pid & 0x3f) << 2
  const host = `${subnet}.${block + 1}`
  ip('netns', 'add', name)
  t.teardown(() => ip('netns', 'del', name))
  ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name)
  t.teardown(() => ip('link', 'del', near)) // sockets that try in vain to close keep the namespace for minutes
  ip('addr', 'add', `${host}/30`, 'dev', near)
  ip('link', 'set', near, 'up')
  ip('-n', name, 'addr', 'add', `${subnet}.${block + 2}/30`, 'dev', far)
  ip('-n', name, 'link', 'set', far, 'up')
  return {
    host,
    prefix: ['ip', 'netns', 'exec', name],
    vanish: () => ip('-n', name, 'route', 'add', 'blackhole', `${host}/32`),
  }
}

function ip(...args: string[]): void {
  const { status, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${error?.message ?? stderr}`)
}

function whyNot(): string | false {
  if (process.getuid?.() !== 0) return 'only root can make a network namespace'
  const name = `fanfare-${process.pid}-try`
  const link = `ff${process.pid}t`
  try {
    ip('netns', 'add', name)
    ip('link', 'add', link, 'type', 'veth', 'peer', 'name', `${link}b`, 'netns', name)
    return false
  } catch (err) {
    return `no network namespace can be made here: ${(err as Error).message.trim()}`
  } finally {
    spawnSync('ip', ['link', 'del', link])
    spawnSync('ip', ['netns', 'del', name])
  }
}
