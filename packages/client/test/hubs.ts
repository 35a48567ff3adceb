/** Clients of real hubs, whose events a test collects. */
import type { Test } from 'tap'
import { connect, type ConnectOptions, type Hub as Client, type HubEvent, type HubState } from 'fanfare-client'
import { DEADLINE, within } from '../../../test/helper/deadline.js'
import { token, type Grants } from '../../../test/helper/token.js'

/** Returns a token of a subject with all grants. */
export function anyGrants(grants: Grants = {}): string {
  return token({ sub: 'ann', subscribe: ['**'], publish: ['**'], presence: ['**'], ...grants })
}

/** Returns a client that closes with the test, reconnects fast and has all grants. */
export function clientOf(t: Test, url: string, options: ConnectOptions = {}): Client {
  const client = connect(url, { token: anyGrants(), maxWait: 100, ...options })
  t.teardown(() => client.close())
  return client
}

/** A list that tests wait on. */
export class Collected<T> {
  readonly items: T[] = []
  readonly #waiting = new Set<() => void>()

  readonly add = (item: T): void => {
    this.items.push(item)
    for (const look of this.#waiting) look()
  }

  /** Waits until a condition holds for the items. */
  async until(condition: (items: readonly T[]) => boolean, ms = DEADLINE): Promise<readonly T[]> {
    let look: () => void = () => undefined
    const met = new Promise<void>((resolve) => {
      look = () => condition(this.items) && resolve()
      this.#waiting.add(look)
      look()
    })
    await within(met, () => `items: ${JSON.stringify(this.items.slice(-10))}`, ms)
    this.#waiting.delete(look)
    return this.items
  }

  count(number: number): Promise<readonly T[]> {
    return this.until(({ length }) => length >= number)
  }
}

/** Waits until a client or a subscription has a state. `onState` goes into the options, or to `on('state')`. */
export class States extends Collected<HubState> {
  reach(status: HubState['status'], reason?: string): Promise<unknown> {
    return this.until((states) => {
      const last = states.at(-1)
      return last?.status === status && (reason === undefined || last.reason === reason)
    })
  }
}

/** Returns the data of events. */
export function dataOf(events: readonly HubEvent[]): unknown[] {
  return events.map(({ data }) => data)
}
