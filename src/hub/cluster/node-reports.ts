/** The reports of the processes of the hub: their versions, loads and newest sequences. */
import type { ClusterMessage } from '../../cluster/cluster.js'
import { isBoolean, isNumber, isString, isTime, optional, shapeOf } from '../../model/shape.js'
import { isSent, type Sent } from '../stats.js'
import { isStats, type Stats } from '../stats-event.js'
import type { Messenger } from './messenger.js'

/** The load of one process. */
export interface NodeLoad {
  /** When the load was measured, on the wall clock of the process. */
  time: number
  /** The number of distinct topics and patterns of the process's streams. */
  topics: number
  /** The number of streams that are not live. */
  lagging: number
  /** The number of events that the process has accepted from publishers since its start, without duplicates. */
  published: number
  /** The events and bytes that the process has sent to its streams since its start. */
  sent: Sent
  /** The resident memory, in bytes. */
  memory: number
  /** The statistics of the last second; `undefined`: not measured yet. */
  stats: Stats | undefined
}

/** The report of one process. */
export interface NodeReport {
  node: string
  version: string
  /** When the process started, on its wall clock. */
  since: number
  /** The number of open streams. */
  connections: number
  /** The epoch of the log. */
  epoch: string
  /** The newest sequence that the process has taken from the log. */
  head: number
  /** `undefined`: not requested. */
  load?: NodeLoad | undefined
}

/** A running process, as this process knows it. */
export interface KnownNode {
  node: string
  /** Whether the process has answered in time. */
  isReachable: boolean
  /** Its latest report; `undefined`: this process has never heard of it. */
  report: NodeReport | undefined
}

const isLoad = shapeOf<NodeLoad>({
  time: isTime,
  topics: isNumber,
  lagging: isNumber,
  published: isNumber,
  sent: isSent,
  memory: isNumber,
  stats: optional(isStats),
})

/** Whether a value of another process is a report. */
export const isReport = shapeOf<NodeReport>({
  node: isString,
  version: isString,
  since: isTime,
  connections: isNumber,
  epoch: isString,
  head: isNumber,
  load: optional(isLoad),
})

interface ReportMessage extends ClusterMessage {
  kind: 'report'
  withLoad: boolean
}

export class NodeReports {
  readonly #messenger: Messenger
  readonly #own: (withLoad: boolean) => NodeReport
  /** The latest report of each other node. */
  readonly #latest = new Map<string, NodeReport>()
  /** The surveys in progress, by `withLoad`. Concurrent calls of `all` share a survey. */
  readonly #surveys = new Map<boolean, Promise<KnownNode[]>>()

  /** @param own returns the report of this node */
  constructor(messenger: Messenger, own: (withLoad: boolean) => NodeReport) {
    this.#messenger = messenger
    this.#own = own
    messenger.onRequest<ReportMessage>('report', shapeOf({ withLoad: isBoolean }), ({ withLoad }) => own(withLoad))
  }

  /** Returns the report of this node without its load, which the other nodes pass to `told`. */
  own(): NodeReport {
    return this.#own(false)
  }

  /** Keeps the report of another node, and the last load if the report has none. */
  told(report: NodeReport): void {
    this.#latest.set(report.node, { ...report, load: report.load ?? this.#latest.get(report.node)?.load })
  }

  /**
   * Returns how many sequences this node is behind the newest one that another node has reported. Reports come every
   * few seconds.
   */
  lag(): number {
    const { epoch, head } = this.#own(false)
    let newest = head
    for (const report of this.#latest.values()) if (report.epoch === epoch) newest = Math.max(newest, report.head)
    return newest - head
  }

  /** Forgets a node that has gone. */
  gone(node: string): void {
    this.#latest.delete(node)
  }

  /** Returns all running nodes, sorted by node. Waits only a short time for their answers. */
  async all(withLoad: boolean): Promise<KnownNode[]> {
    // taken before the survey, so that all heads are of about the same time
    const own = { node: this.#messenger.node, isReachable: true, report: this.#own(withLoad) }
    if (this.#messenger.isAlone) return [own]
    let survey = this.#surveys.get(withLoad)
    if (!survey) {
      survey = this.others(withLoad).finally(() => this.#surveys.delete(withLoad))
      this.#surveys.set(withLoad, survey)
    }
    return [own, ...(await survey)].sort((a, b) => (a.node < b.node ? -1 : 1))
  }

  /** As `all`, without this node. */
  async others(withLoad: boolean): Promise<KnownNode[]> {
    const asked = this.#messenger.others()
    const answers = await this.#messenger.gather({ kind: 'report', withLoad } satisfies ReportMessage, isReport)
    const answered = new Set(answers.map(({ node }) => node))
    for (const { value } of answers) this.told(value)
    const running = new Set(this.#messenger.others())
    for (const node of this.#latest.keys()) if (!running.has(node)) this.#latest.delete(node)
    return asked
      .filter((node) => running.has(node))
      .map((node) => ({ node, isReachable: answered.has(node), report: this.#latest.get(node) }))
  }
}
