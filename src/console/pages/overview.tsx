/** The page with the figures of the hub, or, without an admin's token, with what the token may see. */
import { formatBytes, formatMilliseconds, formatNumber } from '../format.js'
import { isAdmin, latest } from '../hub/monitor.js'
import { BusiestTopics } from '../parts/busiest-topics.js'
import { Chart, range, RANGES, type ChartProps } from '../parts/chart.js'
import { Choice } from '../parts/choice.js'
import { Figures, type Figure } from '../parts/figures.js'
import { SlowestReaders } from '../parts/slowest-readers.js'
import { TokenCard } from '../parts/token-card.js'
import { TopicTable } from '../parts/topic-table.js'
import { TryIt } from '../parts/try-it.js'
import { linkTo } from '../route.js'
import { subscribing } from '../snippets.js'

/** The steps of an axis of bytes are powers of two, as in KiB and MiB. */
const BINARY = Array.from({ length: 50 }, (_, power) => 2 ** power)

const CHARTS: ChartProps[] = [
  {
    title: 'Events per second',
    format: formatNumber,
    lines: [
      { name: 'in', figure: 'eventsIn' },
      { name: 'out', figure: 'eventsOut' },
    ],
  },
  {
    title: 'Latency',
    format: formatMilliseconds,
    lines: [
      { name: 'p50', figure: 'p50' },
      { name: 'p99', figure: 'p99' },
    ],
  },
  {
    title: 'Connections',
    format: formatNumber,
    lines: [
      { name: 'open', figure: 'connections' },
      { name: 'lagging', figure: 'lagging' },
    ],
  },
  {
    title: 'Bytes per second',
    format: formatBytes,
    steps: BINARY,
    lines: [
      { name: 'in', figure: 'bytesIn' },
      { name: 'out', figure: 'bytesOut' },
    ],
  },
  { title: 'Memory', format: formatBytes, steps: BINARY, lines: [{ name: 'resident', figure: 'memory' }] },
  { title: 'Log', format: formatBytes, steps: BINARY, lines: [{ name: 'size', figure: 'logBytes' }] },
]

const SHOW_FIGURES = `events.onmessage = ({ data }) => {
  console.log(JSON.parse(data))
}`

export function OverviewPage() {
  return isAdmin.value === false ? <OwnOverview /> : <HubOverview />
}

function OwnOverview() {
  return (
    <>
      <h1>Overview</h1>
      <TokenCard />
      <h2>Your topics</h2>
      <TopicTable search="" />
    </>
  )
}

function HubOverview() {
  const now = latest.value
  return (
    <>
      <div class="title">
        <h1>Overview</h1>
        <Choice
          name="Range of the charts"
          options={RANGES.map(({ name, seconds }) => ({ name, value: seconds }))}
          value={range.value}
          onChoose={(seconds) => (range.value = seconds)}
        />
      </div>
      {!now && <p class="muted">The first figures arrive within a second.</p>}
      {now && (
        <>
          <HubFigures now={now} />
          <div class="charts">
            {CHARTS.map((chart) => (
              <Chart key={chart.title} {...chart} />
            ))}
          </div>
          <div class="halves">
            <BusiestTopics />
            <SlowestReaders />
          </div>
        </>
      )}
      <TryIt title="the same figures" {...subscribing('fanfare.stats', {}, SHOW_FIGURES)} />
    </>
  )
}

function HubFigures({ now }: { now: NonNullable<typeof latest.value> }) {
  return (
    <Figures
      figures={[
        ['Connections', <a href={linkTo({ page: 'connections' })}>{formatNumber(now.connections)}</a>],
        ['Events in', `${formatNumber(now.events.in)}/s`],
        ['Events out', `${formatNumber(now.events.out)}/s`],
        ['Topics', <a href={linkTo({ page: 'topics' })}>{formatNumber(now.topics)}</a>],
        ['Events kept', formatNumber(now.log.events)],
        ['Event loop delay', formatMilliseconds(now.eventLoopDelay)],
        ...(now.nodes === undefined
          ? []
          : [['Nodes', <a href={linkTo({ page: 'nodes' })}>{formatNumber(now.nodes)}</a>] satisfies Figure]),
      ]}
    />
  )
}
