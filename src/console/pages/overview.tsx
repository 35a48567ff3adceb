/** The page with charts of the hub's stats over the last minutes. */
import { latest, monitor } from '../hub/monitor.js'
import { formatBytes, formatMilliseconds, formatNumber } from '../format.js'
import { linkTo } from '../route.js'
import { Chart, type ChartProps } from '../parts/chart.js'
import { Figures, type Figure } from '../parts/figures.js'
import { TryIt } from '../parts/try-it.js'
import { subscribing } from '../snippets.js'

/** The steps of an axis of bytes are powers of two, as in KiB and MiB. */
const BINARY = Array.from({ length: 50 }, (_, power) => 2 ** power)

const CHARTS: ChartProps[] = [
  {
    title: 'Connections',
    format: formatNumber,
    lines: [
      { name: 'open', of: ({ connections }) => connections },
      { name: 'lagging', of: ({ lagging }) => lagging },
    ],
  },
  {
    title: 'Events per second',
    format: formatNumber,
    lines: [
      { name: 'in', of: ({ events }) => events.in },
      { name: 'out', of: ({ events }) => events.out },
    ],
  },
  {
    title: 'Latency',
    format: formatMilliseconds,
    lines: [
      { name: 'p50', of: ({ latency }) => latency.p50 },
      { name: 'p99', of: ({ latency }) => latency.p99 },
    ],
  },
  {
    title: 'Bytes per second',
    format: formatBytes,
    steps: BINARY,
    lines: [
      { name: 'in', of: ({ bytes }) => bytes.in },
      { name: 'out', of: ({ bytes }) => bytes.out },
    ],
  },
  { title: 'Memory', format: formatBytes, steps: BINARY, lines: [{ name: 'resident', of: ({ memory }) => memory }] },
  { title: 'Log', format: formatBytes, steps: BINARY, lines: [{ name: 'size', of: ({ log }) => log.bytes }] },
]

const SHOW_FIGURES = `events.onmessage = ({ data }) => {
  console.log(JSON.parse(data))
}`

export function OverviewPage() {
  const now = latest.value
  return (
    <>
      <h1>Overview</h1>
      {!now && monitor.value?.state.value.phase !== 'refused' && (
        <p class="muted">The first figures arrive within a second.</p>
      )}
      {now && (
        <Figures
          figures={[
            ['Topics', formatNumber(now.topics)],
            ['Events kept', formatNumber(now.log.events)],
            ['Event loop delay', formatMilliseconds(now.eventLoopDelay)],
            ...(now.nodes === undefined
              ? []
              : [['Nodes', <a href={linkTo({ page: 'nodes' })}>{formatNumber(now.nodes)}</a>] satisfies Figure]),
          ]}
        />
      )}
      {now && (
        <div class="charts">
          {CHARTS.map((chart) => (
            <Chart key={chart.title} {...chart} />
          ))}
        </div>
      )}
      {now && now.busiest.length > 0 && (
        <section class="card">
          <h2>Busiest topics</h2>
          <ul class="plain">
            {now.busiest.slice(0, 10).map(({ topic, rate }) => (
              <li key={topic}>
                <a href={linkTo({ page: 'topic', topic })}>{topic}</a> <span class="muted">{formatNumber(rate)}/s</span>
              </li>
            ))}
          </ul>
        </section>
      )}
      <TryIt title="the same figures" {...subscribing('fanfare.stats', {}, SHOW_FIGURES)} />
    </>
  )
}
