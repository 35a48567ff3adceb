import type { Options } from '../options.js'
import type { Row } from '../row.js'

export interface Scenario {
  name: string
  /** How many files and sockets one of its processes has open at the most. */
  openFiles: number
  run(options: Options): Promise<Row[]>
}
