/** `fanfare doctor`: examines a hub at a URL, with everything that is between it and this machine. */
import type { Process } from './command.js'
import { EXIT } from './exit-codes.js'
import { reasonOf } from './http-client.js'
import { hubAddress, type HubAddress, type HubOptions } from './hub-address.js'
import { painter, printable, type Color } from './terminal.js'
import { examineCors, requireOrigin } from './doctor/cors.js'
import type { Finding, Report } from './doctor/finding.js'
import { examineHub } from './doctor/hub.js'
import { examineNetwork } from './doctor/network.js'
import { examineStream } from './doctor/stream.js'
import { examineToken } from './doctor/token.js'

export interface DoctorOptions extends Omit<HubOptions, 'url'> {
  origin?: string | undefined
  topic?: string | undefined
  /** How long to wait for a heartbeat, in milliseconds. */
  wait: number
  json?: boolean | undefined
}

const COLORS: Record<Finding['level'], Color> = { ok: 'green', note: 'yellow', fault: 'red' }

/** Prints one sentence for each finding, as it comes. The exit code is 1 if there is a fault. */
export async function doctor(url: string, options: DoctorOptions, process: Process): Promise<void> {
  if (options.origin !== undefined) requireOrigin(options.origin)
  const address = await hubAddress({ ...options, url }, process)
  const paint = painter(process.stdout)
  await examine(address, options, ({ check, level, text }) => {
    if (level === 'fault') process.exitCode = EXIT.failed
    process.stdout.write(
      options.json
        ? `${JSON.stringify({ check, level, text })}\n`
        : `${paint(COLORS[level], level.padEnd(5))}  ${check.padEnd(7)}  ${printable(text)}\n`,
    )
  })
}

/** Runs the examinations in order. Stops where the next ones have no chance. */
async function examine(
  address: HubAddress,
  { origin, topic, wait }: DoctorOptions,
  print: (finding: Finding) => void,
): Promise<void> {
  /** Runs an examination. A request that fails unexpectedly is a fault too. */
  async function run<Result>(check: string, examination: (report: Report) => Promise<Result>) {
    try {
      return await examination((level, text) => print({ check, level, text }))
    } catch (err) {
      print({ check, level: 'fault', text: `The examination was cut off: ${reasonOf(err)}.` })
      return undefined
    }
  }

  if (!(await run('network', (report) => examineNetwork(address, report)))) return
  if (!(await run('hub', (report) => examineHub(address, report)))) return
  if (origin !== undefined) await run('cors', (report) => examineCors(address, origin, report))
  const token = await run('token', (report) => examineToken(address, report))
  if (!token || (address.token !== undefined && !token.isAccepted)) return
  await run('stream', (report) => examineStream({ address, token, topic, wait }, report))
}
