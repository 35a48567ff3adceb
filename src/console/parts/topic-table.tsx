/** The topics in the log that match a search, with their latest events. */
import type { ListedTopic } from '../../schemas/topic.js'
import { formatAge, formatBytes, formatCount, formatDateTime, formatNumber } from '../format.js'
import { ageOf } from '../hub/clock.js'
import { isAdmin, latest } from '../hub/monitor.js'
import { usePages } from '../hub/pages.js'
import { linkTo } from '../route.js'
import { DataTable, type DataColumn } from './data-table.js'
import { Notice } from './notice.js'
import { Sparkline } from './sparkline.js'

/** The number of topics in a page. */
const LIMIT = 500
const INTERVAL = 2_000

const COLUMNS: DataColumn<ListedTopic>[] = [
  {
    name: 'Topic',
    value: ({ topic }) => topic,
    show: ({ topic }) => (
      <a class="topic" href={linkTo({ page: 'topic', topic })} title={topic}>
        {topic}
      </a>
    ),
    isWide: true,
    narrow: 'main',
  },
  {
    name: 'Last 5 min',
    value: ({ activity }) => activity?.counts.reduce((sum, count) => sum + count, 0) ?? 0,
    show: ({ activity }) =>
      activity && (
        <Sparkline
          counts={activity.counts}
          about={formatCount(
            activity.counts.reduce((sum, count) => sum + count, 0),
            'event',
          )}
        />
      ),
    isNumber: true,
    narrow: 'end',
  },
  {
    name: 'Events/s',
    value: ({ activity }) => activity?.rate ?? 0,
    show: ({ activity }) => formatNumber(activity?.rate ?? 0),
    isNumber: true,
    narrow: 'more',
  },
  {
    name: 'Last event',
    value: ({ activity }) => (activity?.lastTime ? Date.parse(activity.lastTime) : 0),
    show: ({ activity }) =>
      activity?.lastTime ? (
        <time dateTime={activity.lastTime} title={formatDateTime(activity.lastTime)}>
          {formatAge(ageOf(activity.lastTime))} ago
        </time>
      ) : (
        '–'
      ),
    isNumber: true,
    narrow: 'more',
  },
  {
    name: 'Subscribers',
    value: ({ subscribers }) => subscribers,
    show: ({ subscribers }) => formatNumber(subscribers),
    isNumber: true,
  },
  { name: 'Events', value: ({ events }) => events, show: ({ events }) => formatNumber(events), isNumber: true },
  {
    name: 'Size',
    value: ({ bytes }) => bytes,
    show: ({ bytes }) => formatBytes(bytes),
    isNumber: true,
    narrow: 'more',
  },
]

/** @param search a part of the names, or a pattern; empty: all topics */
export function TopicTable({ search }: { search: string }) {
  const { rows, more, error, loadMore } = usePages<ListedTopic>(
    'topics',
    { limit: String(LIMIT), activity: 'true', ...(search === '' ? {} : { search }) },
    'topics',
    INTERVAL,
  )
  const found = rows.value
  const total = isAdmin.value && search === '' ? latest.value?.topics : undefined
  return (
    <>
      {error.value !== undefined && <Notice tone={search.includes('*') ? 'info' : 'error'}>{error}</Notice>}
      {found?.length === 0 && (
        <p class="empty">
          {search === ''
            ? 'The log holds no events. Type the name of a topic into the search above to open it, and publish the first one.'
            : 'No topic in the log matches. A search finds parts of names; with * it is a pattern, such as orders.*'}
        </p>
      )}
      {found && found.length > 0 && (
        <>
          <DataTable caption="Topics" columns={COLUMNS} rows={found} keyOf={({ topic }) => topic} sortedBy="Topic" />
          <p class="foot muted">
            {more.value
              ? `${formatNumber(found.length)}${total === undefined ? '' : ` of ${formatNumber(total)}`} topics are loaded, by name. The order is that of the loaded ones. `
              : formatCount(found.length, 'topic')}
            {more.value && (
              <button type="button" class="quiet" onClick={loadMore}>
                Load more
              </button>
            )}
          </p>
        </>
      )}
    </>
  )
}
