/** The page of the topics in the log, filtered by prefix and sorted by any column. */
import { useSignal } from '@preact/signals'
import type { Static } from 'typebox'
import type { TopicInfo, Topics } from '../../schemas/topic.js'
import { formatBytes, formatNumber } from '../format.js'
import { latest } from '../hub/monitor.js'
import { useResource } from '../hub/resource.js'
import { Notice } from '../parts/notice.js'
import { SortedTable, type Column } from '../parts/sorted-table.js'
import { linkTo } from '../route.js'

/** The maximum number of topics in an answer of the hub. */
const LIMIT = 1_000
const INTERVAL = 2_000
/** The number of topics whose rates are in the stats of the hub. */
const BUSIEST = 50

type Row = Static<typeof TopicInfo> & { rate: number | undefined }

const COLUMNS: Column<Row>[] = [
  {
    name: 'Topic',
    value: ({ topic }) => topic,
    show: ({ topic }) => (
      <a class="long" href={linkTo({ page: 'topic', topic })}>
        {topic}
      </a>
    ),
  },
  {
    name: 'Events/s',
    value: ({ rate }) => rate ?? 0,
    show: ({ rate }) => (rate === undefined ? '–' : formatNumber(rate)),
    isNumber: true,
  },
  {
    name: 'Subscribers',
    value: ({ subscribers }) => subscribers,
    show: ({ subscribers }) => formatNumber(subscribers),
    isNumber: true,
  },
  { name: 'Events kept', value: ({ events }) => events, show: ({ events }) => formatNumber(events), isNumber: true },
  { name: 'Size', value: ({ bytes }) => bytes, show: ({ bytes }) => formatBytes(bytes), isNumber: true },
]

export function TopicsPage() {
  const prefix = useSignal('')
  const { value, error } = useResource<Static<typeof Topics>>(
    'topics',
    { limit: String(LIMIT), ...(prefix.value === '' ? {} : { prefix: prefix.value }) },
    INTERVAL,
  )
  const rates = ratesOf()
  const rows = value.value?.topics.map((topic) => ({ ...topic, rate: rates(topic.topic) }))
  return (
    <>
      <h1>Topics</h1>
      <label class="filter">
        Begins with
        <input
          type="search"
          value={prefix}
          onInput={({ currentTarget }) => (prefix.value = currentTarget.value.trim())}
          placeholder="orders."
          maxLength={200}
          spellcheck={false}
          autocapitalize="none"
        />
      </label>
      {error.value !== undefined && <Notice tone="error">{error}</Notice>}
      {rows && rows.length === 0 && (
        <p class="muted">
          {prefix.value === '' ? 'The log holds no events.' : 'No topic in the log begins with this prefix.'}
        </p>
      )}
      {rows && rows.length > 0 && (
        <SortedTable caption="Topics" columns={COLUMNS} rows={rows} keyOf={({ topic }) => topic} />
      )}
      {value.value?.more && (
        <p class="muted">Only the first {formatNumber(LIMIT)} topics are shown. Type a prefix to see others.</p>
      )}
    </>
  )
}

/** Returns the rates of topics. The stats list the busiest topics. If the list is not full, all other topics have 0. */
function ratesOf(): (topic: string) => number | undefined {
  const busiest = latest.value?.busiest
  if (!busiest) return () => undefined
  const known = new Map(busiest.map(({ topic, rate }) => [topic, rate]))
  const isComplete = busiest.length < BUSIEST
  return (topic) => known.get(topic) ?? (isComplete ? 0 : undefined)
}
