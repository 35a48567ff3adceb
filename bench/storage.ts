/** Where the log of a hub is, during a scenario. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { poll } from '../test/helper/deadline.js'
import { freePort } from '../test/helper/free-port.js'
import { UsageError, type Options } from './options.js'
import { endWithUs } from './processes.js'

export interface Storage {
  /** `FANFARE_LOG` of the hub. */
  readonly address: string
  /** The NATS server of the bench, if there is one. */
  readonly natsPid?: number
  /** Removes what the bench has created. */
  close(): Promise<void>
}

/**
 * Creates the folder or the NATS server that the options ask for.
 * @throws UsageError if there is no NATS server
 */
export async function openStorage({ log }: Pick<Options, 'log'>): Promise<Storage> {
  if (log === 'nats') return startNats()
  if (log !== 'file') return { address: log, close: () => Promise.resolve() }
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-bench-'))
  return { address: `file:${folder}`, close: async () => rmSync(folder, { recursive: true, maxRetries: 10 }) }
}

/** Starts a NATS server with JetStream and its defaults, on any core. */
async function startNats(): Promise<Storage> {
  // looks for the program, and installs it if there is none
  const { answers, INSTALL, natsProgram } = await import('../test/helper/nats.js')
  if (natsProgram === undefined) throw new UsageError(`There is no nats-server: ${INSTALL}.`)
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-bench-nats-'))
  const config = join(folder, 'server.conf')
  // a stream reserves its maximum bytes, which may be more than the disk has
  writeFileSync(
    config,
    `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${folder}", max_file_store: 9000000000000000000 }\n`,
  )
  const child = spawn(natsProgram, ['-c', config], { stdio: 'ignore' })
  endWithUs(child)
  await poll(
    () => answers(port),
    () => 'the NATS server does not listen',
  )
  return {
    address: `nats://127.0.0.1:${port}`,
    natsPid: child.pid!,
    async close() {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
      rmSync(folder, { recursive: true, maxRetries: 10 })
    },
  }
}
