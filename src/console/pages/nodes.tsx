/** The page of the processes of the hub: which process leads, and the load and the lag of each. */
import type { Node } from '../../schemas/node.js'
import { formatBytes, formatDateTime, formatDuration, formatMilliseconds, formatNumber } from '../format.js'
import { ageOf } from '../hub/clock.js'
import { useNodeRates, type Rates } from '../hub/node-rates.js'
import { useResource } from '../hub/resource.js'
import { Figures } from '../parts/figures.js'
import { Notice, ResourceNotice } from '../parts/notice.js'
import { SortedTable, type Column } from '../parts/sorted-table.js'
import { TryIt } from '../parts/try-it.js'
import { listing } from '../snippets.js'

const INTERVAL = 2_000

type Row = Node & { rates: Rates | undefined }

const COLUMNS: Column<Row>[] = [
  {
    name: 'Node',
    value: ({ node }) => node,
    show: ({ node, leader, unreachable, time }) => (
      <>
        <code>{node}</code> {leader && <span class="badge leader">leader</span>}
        {unreachable && (
          <div>
            <span class="badge down">unreachable</span>{' '}
            {time !== null && (
              <small title={formatDateTime(time)}>last answered {formatDuration(ageOf(time))} ago</small>
            )}
          </div>
        )}
      </>
    ),
  },
  { name: 'Version', value: ({ version }) => version ?? '', show: ({ version }) => version ?? '–' },
  {
    name: 'Up',
    value: ({ since }) => (since === null ? -1 : ageOf(since)),
    show: ({ since }) =>
      since === null ? '–' : <span title={`since ${formatDateTime(since)}`}>{formatDuration(ageOf(since))}</span>,
    isNumber: true,
  },
  amount('Connections', ({ connections }) => connections, formatNumber),
  amount('Lagging', ({ lagging }) => lagging, formatNumber),
  amount('Topics', ({ topics }) => topics, formatNumber),
  amount('In/s', ({ rates }) => rates?.published, formatNumber),
  amount('Out/s', ({ rates }) => rates?.sentEvents, formatNumber),
  amount('Bytes/s', ({ rates }) => rates?.sentBytes, formatBytes),
  amount('Memory', ({ memory }) => memory, formatBytes),
  amount('Loop delay', ({ eventLoopDelay }) => eventLoopDelay, formatMilliseconds),
  amount('Log lag', ({ lag }) => lag, formatNumber),
]

export function NodesPage() {
  const resource = useResource<Node[]>('nodes', {}, INTERVAL)
  const nodes = resource.value.value
  const rates = useNodeRates(nodes)
  const rows = nodes?.map((node) => ({ ...node, rates: node.unreachable ? undefined : rates.get(node.node) }))
  return (
    <>
      <h1>Nodes</h1>
      <ResourceNotice resource={resource} />
      {rows && (
        <>
          <Silence nodes={rows} />
          <Totals rows={rows} />
          <SortedTable
            caption="Nodes"
            columns={COLUMNS}
            rows={rows}
            keyOf={({ node }) => node}
            cardsUpTo={1_200}
            classOf={({ unreachable }) => (unreachable ? 'faint' : '')}
          />
          <p class="muted">
            A node is a process of the hub. “In” counts the events that the node has accepted from publishers, “Out”
            those that it has sent to its streams. “Lagging” counts the streams that still read from the log. “Log lag”
            is how many events of the log the node has not taken yet.
          </p>
          {rows.length === 1 && <MoreNodes />}
        </>
      )}
      <TryIt title="list the nodes" {...listing('nodes')} />
    </>
  )
}

/** The figures of all nodes together. */
function Totals({ rows }: { rows: Row[] }) {
  return (
    <Figures
      figures={[
        ['Nodes', formatNumber(rows.length)],
        ['Connections', formatNumber(sumOf(rows, ({ connections }) => connections))],
        ['Events in', `${formatNumber(sumOf(rows, ({ rates }) => rates?.published))}/s`],
        ['Events out', `${formatNumber(sumOf(rows, ({ rates }) => rates?.sentEvents))}/s`],
        ['Memory', formatBytes(sumOf(rows, ({ memory }) => memory))],
      ]}
    />
  )
}

/** Says which processes do not answer, and what follows. */
function Silence({ nodes }: { nodes: Node[] }) {
  const silent = nodes.filter(({ unreachable }) => unreachable)
  if (silent.length === 0) return null
  if (silent.some(({ leader }) => leader))
    return (
      <Notice tone="error">
        The leader does not answer. Nothing can be published until the leader answers again or ends. The processes of a
        folder reach each other through the leader, so others may count as unreachable although they work.
      </Notice>
    )
  return (
    <Notice tone="warning">
      {silent.length === 1 ? 'One process does not answer.' : `${silent.length} processes do not answer.`} The table
      shows their last known state.
    </Notice>
  )
}

/** Says how a hub gets more processes. */
function MoreNodes() {
  return (
    <section class="card" aria-labelledby="more">
      <h2 id="more">This hub has one process</h2>
      <p>Any number of processes can share a log and act as one hub:</p>
      <dl class="ways">
        <dt>On one port</dt>
        <dd>
          <code>FANFARE_WORKERS=auto</code> starts one process for each processor core.
        </dd>
        <dt>On one machine</dt>
        <dd>
          Processes with the same <code>FANFARE_LOG=file:&lt;folder&gt;</code> join each other by themselves.
        </dd>
        <dt>On several machines</dt>
        <dd>
          Hubs with the same <code>FANFARE_LOG=nats://&lt;host&gt;:4222</code> share a log on NATS JetStream.
        </dd>
      </dl>
      <p class="muted">
        The page <code>docs/scaling.md</code> of the package says which way to choose.
      </p>
    </section>
  )
}

/** Returns a column of numbers. An unknown number is shown as a dash. */
function amount(
  name: string,
  of: (row: Row) => number | null | undefined,
  format: (value: number) => string,
): Column<Row> {
  return {
    name,
    value: (row) => of(row) ?? -1,
    show: (row) => {
      const value = of(row) ?? undefined
      return value === undefined ? '–' : format(value)
    },
    isNumber: true,
  }
}

function sumOf(rows: Row[], of: (row: Row) => number | null | undefined): number {
  return rows.reduce((sum, row) => sum + (of(row) ?? 0), 0)
}
