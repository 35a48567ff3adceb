import type { Options } from '../options.js'
import type { Row } from '../row.js'

export interface Scenario {
  name: string
  /** Returns the maximum number of files and sockets that one of its processes has open. */
  openFiles(options: Options): number
  /** The log without `--log`; default: `memory`. */
  defaultLog?: 'file'
  /** Whether `--workers` applies, and whether the scenario always has several processes; default: it does not. */
  workers?: 'allowed' | 'several'
  /** Whether the log must not be on NATS. */
  needsFolder?: true
  /** Whether `--tls` applies, and with `http2` also `--http2`; default: neither does. */
  tls?: 'allowed' | 'http2'
  run(options: Options): Promise<Row[]>
}
