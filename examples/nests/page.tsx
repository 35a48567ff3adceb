import { memo } from 'react'
import { Empty, Page, show } from '../shared/react/page.js'
import { PostForm } from '../shared/react/post-form.js'
import { useClients } from '../shared/react/use-clients.js'
import { useTopic } from '../shared/react/use-topic.js'
import type { Nest } from './server.js'

/** As many as the hub keeps of a topic (`FANFARE_RETAIN_EVENTS`), so a reload shows the same. */
const SHOWN = 1_000

function Nests() {
  const stream = useTopic<Nest>('nests', SHOWN)
  const clients = useClients(stream.state)
  return (
    <Page
      title="Nests"
      intro="Add the nests that you find. Every page shows a new nest at once."
      stream={stream}
      clients={clients}
    >
      <PostForm to="nest" button="Add the nest">
        <label>
          Momma
          <input name="momma" required maxLength={40} autoComplete="off" />
        </label>
        <label>
          Eggs
          <input name="eggs" type="number" required min={0} max={100} />
        </label>
        <label>
          Temperature (°C)
          <input name="temperature" type="number" required min={-50} max={60} step="any" />
        </label>
      </PostForm>
      <section className="card" aria-label="Nests">
        {stream.events.length ? (
          <table>
            <thead>
              <tr>
                <th scope="col">Momma</th>
                <th scope="col">Eggs</th>
                <th scope="col">Temperature</th>
              </tr>
            </thead>
            <tbody>
              {stream.events.toReversed().map(({ id, data }) => (
                <Row key={id} nest={data} />
              ))}
            </tbody>
          </table>
        ) : (
          <Empty stream={stream}>No nest has been found yet. Add the first.</Empty>
        )}
      </section>
    </Page>
  )
}

/** Memoized: when a nest arrives, React draws only its row. */
const Row = memo(function Row({ nest: { momma, eggs, temperature } }: { nest: Nest }) {
  return (
    <tr>
      <td>{momma}</td>
      <td className="number">{eggs}</td>
      <td className="number">{degrees(temperature)} °C</td>
    </tr>
  )
})

/** Formats a temperature as people write it: neither `1e-7` nor `-0`. */
function degrees(temperature: number): string {
  return temperature.toLocaleString(undefined, { signDisplay: 'negative' })
}

show(<Nests />)
