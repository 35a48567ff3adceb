/** The streams with the greatest lag. */
import type { Static } from 'typebox'
import type { ConnectionsPage } from '../../schemas/connection.js'
import { formatNumber } from '../format.js'
import { useResource } from '../hub/resource.js'
import { linkTo } from '../route.js'
import { BarTable } from './bar-table.js'

const SHOWN = 10
const INTERVAL = 2_000

export function SlowestReaders() {
  const { value } = useResource<Static<typeof ConnectionsPage>>(
    'connections',
    { order: 'lag', limit: String(SHOWN) },
    INTERVAL,
  )
  const slow = value.value?.connections.filter(({ lag }) => lag > 0) ?? []
  return (
    <BarTable
      title="Slowest readers"
      columns={['Stream', 'Lag']}
      rows={slow.map(({ id, subject, address, lag }) => ({
        key: id,
        name: (
          <>
            <a href={linkTo({ page: 'connection', id })}>{subject ?? 'no subject'}</a>{' '}
            <span class="muted">{address}</span>
          </>
        ),
        value: lag,
        shown: formatNumber(lag),
      }))}
      empty="Every stream has all events."
    />
  )
}
