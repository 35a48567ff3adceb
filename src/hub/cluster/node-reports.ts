/** What each process of the hub is, carries and lags. */
import type { ClusterMessage } from '../../cluster/cluster.js'
import type { Sent, Stats } from '../stats.js'
import type { Messenger } from './messenger.js'

/** What one process carries. Times are on its wall clock. */
export interface NodeLoad {
  /** When it was measured. */
  time: number
  /** The number of distinct topics and patterns of its streams. */
  topics: number
  /** The number of its streams that are not live. */
  lagging: number
  /** The number of events that it has accepted from publishers since its start, without duplicates. */
  published: number
  /** What it has sent to its streams since its start. */
  sent: Sent
  /** Its resident memory, in bytes. */
  memory: number
  /** Its statistics of the last second; `undefined`: not measured yet. */
  stats: Stats | undefined
}

/** The report of one process. */
export interface NodeReport {
  node: string
  version: string
  /** When it started, on its wall clock. */
  since: number
  /** The number of its open streams. */
  connections: number
  /** The epoch of its log. */
  epoch: string
  /** The newest sequence that it has taken from the log. */
  head: number
  /** What it carries; `undefined`: not asked for. */
  load?: NodeLoad | undefined
}

/** What this process knows of a running process. */
export interface KnownNode {
  node: string
  /** Whether the process has answered in time. */
  isReachable: boolean
  /** Its latest report; `undefined`: this process has never heard of it. */
  report: NodeReport | undefined
}

interface ReportMessage extends ClusterMessage {
  kind: 'report'
  withLoad: boolean
}

export class NodeReports {
  readonly #messenger: Messenger
  readonly #own: (withLoad: boolean) => NodeReport
  /** The latest report of each other node. */
  readonly #latest = new Map<string, NodeReport>()
  /** The questions that are under way, by `withLoad`. Requests at the same time share the answers. */
  readonly #asking = new Map<boolean, Promise<KnownNode[]>>()

  /** @param own returns the report of this node */
  constructor(messenger: Messenger, own: (withLoad: boolean) => NodeReport) {
    this.#messenger = messenger
    this.#own = own
    messenger.onRequest<ReportMessage>('report', ({ withLoad }) => own(withLoad))
  }

  /** Returns the report of this node without its load, for `told` of the others. */
  own(): NodeReport {
    return this.#own(false)
  }

  /** Another node has told its report, without its load. */
  told(report: NodeReport): void {
    this.#latest.set(report.node, { ...report, load: report.load ?? this.#latest.get(report.node)?.load })
  }

  /** Another node has gone. */
  gone(node: string): void {
    this.#latest.delete(node)
  }

  /** Returns what is known of all running nodes, sorted by node. Waits only a short time for their answers. */
  async all(withLoad: boolean): Promise<KnownNode[]> {
    // before the question, so that all heads are of about the same time
    const own = { node: this.#messenger.node, isReachable: true, report: this.#own(withLoad) }
    if (this.#messenger.isAlone) return [own]
    let asking = this.#asking.get(withLoad)
    if (!asking) {
      asking = this.others(withLoad).finally(() => this.#asking.delete(withLoad))
      this.#asking.set(withLoad, asking)
    }
    return [own, ...(await asking)].sort((a, b) => (a.node < b.node ? -1 : 1))
  }

  /** As `all`, without this node. */
  async others(withLoad: boolean): Promise<KnownNode[]> {
    const asked = this.#messenger.others()
    const answers = await this.#messenger.gather({ kind: 'report', withLoad } satisfies ReportMessage)
    const answered = new Set(answers.map(({ node }) => node))
    for (const { value } of answers) this.told(value as NodeReport)
    const running = new Set(this.#messenger.others())
    for (const node of this.#latest.keys()) if (!running.has(node)) this.#latest.delete(node)
    return asked
      .filter((node) => running.has(node))
      .map((node) => ({ node, isReachable: answered.has(node), report: this.#latest.get(node) }))
  }
}
