/** The topics with the most events in the last second, as a table with bars. */
import { formatNumber } from '../format.js'
import { latest } from '../hub/monitor.js'
import { linkTo } from '../route.js'
import { BarTable } from './bar-table.js'

const SHOWN = 10

export function BusiestTopics() {
  const busiest = latest.value?.busiest.slice(0, SHOWN) ?? []
  return (
    <BarTable
      title="Busiest topics"
      columns={['Topic', 'Events/s']}
      rows={busiest.map(({ topic, rate }) => ({
        key: topic,
        name: (
          <a class="topic" href={linkTo({ page: 'topic', topic })}>
            {topic}
          </a>
        ),
        value: rate,
        shown: formatNumber(rate),
      }))}
      empty="No events in the last second. Publish one on the page of a topic: type its name into the search."
    />
  )
}
