/** A thousand subscribers resume at once, and each has missed a thousand events. */
import { blankPayload, writeMark } from '../load/mark.js'
import { topicName } from '../load/topic.js'
import { faultsOf, receive, startClock } from '../measure.js'
import { EVERYBODY, Stage } from '../stage.js'
import { createToken } from '../token.js'
import type { Scenario } from './scenario.js'

const CLIENTS = 1_000
const MISSED = 1_000
const MIN_EVENTS = 500_000

export const resumeStorm: Scenario = {
  name: 'resume-storm',
  openFiles: () => CLIENTS,
  workers: 'allowed',
  run: (options) =>
    Stage.withHub(options, { FANFARE_RETAIN_EVENTS: '2000' }, async (stage) => {
      const { url } = stage.server
      const headers = { authorization: `Bearer ${createToken('publisher')}` }
      const events = `${url}/topics/${topicName(0)}/events`
      const before = await fetch(events, { method: 'HEAD', headers: { ...headers, accept: 'text/event-stream' } })
      const lastEventId = before.headers.get('last-event-id')!
      const published = await fetch(`${url}/events`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: missedEvents(),
      })
      if (published.status !== 201) throw new Error(`the events to be missed were refused: ${await published.text()}`)

      const clock = startClock(stage)
      const { startedAt } = await stage.subscribe({ count: CLIENTS, atOnce: CLIENTS, lastEventId })
      const expected = CLIENTS * MISSED
      const received = await receive(stage, EVERYBODY, expected)
      const rate = (received.delivered * 1e6) / (received.lastAt - startedAt)
      return [
        {
          scenario: 'resume-storm',
          figure: `${Math.round(rate).toLocaleString('en')} events/s, all within ${((received.lastAt - startedAt) / 1e6).toFixed(2)} s`,
          target: `>= ${MIN_EVENTS.toLocaleString('en')}/s`,
          reached: rate >= MIN_EVENTS,
          deliveriesPerSecond: rate,
          delivered: received.delivered,
          expected,
          ...clock(received.delivered),
          faults: faultsOf(received, expected),
        },
      ]
    }),
}

function missedEvents(): string {
  const events = Array.from({ length: MISSED }, (_, number) => {
    const payload = Buffer.from(blankPayload(100))
    writeMark(payload, 0, 0, number, 0)
    return { topic: topicName(0), data: payload.toString() }
  })
  return JSON.stringify({ events })
}
