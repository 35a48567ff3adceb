/** The reports of the processes of the hub: version, streams and statistics. */
import type { ClusterMessage } from '../../cluster/cluster.js'
import type { Stats } from '../stats.js'
import type { Messenger } from './messenger.js'

/** The report of one process. */
export interface NodeReport {
  node: string
  version: string
  /** When the process started, on the wall clock. */
  since: number
  /** The number of open streams. */
  connections: number
  /** The newest sequence that the process has taken from the log. */
  head: number
  /** The statistics of the last second; `undefined`: not requested, or not measured yet. */
  stats?: Stats | undefined
}

interface ReportMessage extends ClusterMessage {
  kind: 'report'
  withStats: boolean
}

export class NodeReports {
  readonly #messenger: Messenger
  readonly #own: (withStats: boolean) => NodeReport
  /** The last report of each other node. */
  readonly #latest = new Map<string, NodeReport>()
  /** The survey in progress. Concurrent calls of `all` share its result. */
  #survey: Promise<NodeReport[]> | undefined

  /** @param own returns the report of this node */
  constructor(messenger: Messenger, own: (withStats: boolean) => NodeReport) {
    this.#messenger = messenger
    this.#own = own
    messenger.onRequest<ReportMessage>('report', ({ withStats }) => own(withStats))
  }

  /**
   * Returns the reports of all nodes, sorted by node. For a node that does not answer soon, this is its last report,
   * without statistics.
   */
  async all(): Promise<NodeReport[]> {
    if (this.#messenger.isAlone) return [this.#own(false)]
    const others = await (this.#survey ??= this.others(false).finally(() => (this.#survey = undefined)))
    return [this.#own(false), ...others].sort((a, b) => (a.node < b.node ? -1 : 1))
  }

  /** Returns the reports of the other nodes. */
  async others(withStats: boolean): Promise<NodeReport[]> {
    if (this.#messenger.isAlone) return []
    const answers = await this.#messenger.gather({ kind: 'report', withStats } satisfies ReportMessage)
    const fresh = new Map(answers.map(({ node, value }) => [node, value as NodeReport]))
    for (const [node, report] of fresh) this.#latest.set(node, report)
    const running = this.#messenger.others()
    for (const node of this.#latest.keys()) if (!running.includes(node)) this.#latest.delete(node)
    return [...this.#latest.values()].map((report) => fresh.get(report.node) ?? { ...report, stats: undefined })
  }
}
