import type { Options } from '../options.js'
import type { Row } from '../row.js'

export interface Scenario {
  name: string
  /** The maximum number of files and sockets that one of its processes has open. */
  openFiles: number
  run(options: Options): Promise<Row[]>
}
