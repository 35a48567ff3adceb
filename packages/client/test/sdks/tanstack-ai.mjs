/** Runs of TanStack AI in finite topics. Prints what each subscriber gets, as JSON. */
/* global console, Request, TextDecoderStream */
import { env } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { resumeServerSentEventsResponse, toServerSentEventsResponse } from '@tanstack/ai'
import { fanfareStream } from 'fanfare-client/tanstack-ai'

const { HUB, TOKEN } = env
const durabilityOf = (request) => fanfareStream(request, { url: HUB, token: TOKEN })

/** A model that streams words. */
async function* run(count) {
  yield { type: 'RUN_STARTED', runId: 'r', threadId: 't', timestamp: 0 }
  for (let n = 0; n < count; n++) {
    await delay(10)
    yield { type: 'TEXT_MESSAGE_CONTENT', messageId: 'm', delta: `w${n} `, timestamp: 0 }
  }
  yield { type: 'RUN_FINISHED', runId: 'r', threadId: 't', timestamp: 0 }
}

/** Reads events up to a number. Returns them as `id` and chunk. */
async function eventsOf(response, count = Infinity) {
  const events = []
  let text = ''
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece
    for (let end; (end = text.indexOf('\n\n')) !== -1; text = text.slice(end + 2)) {
      const lines = text.slice(0, end).split('\n')
      const field = (name) =>
        lines
          .find((line) => line.startsWith(`${name}:`))
          ?.slice(name.length + 1)
          .trim()
      const data = field('data')
      if (data !== undefined && data !== '[DONE]') events.push({ id: field('id'), chunk: JSON.parse(data) })
    }
    if (events.length >= count) break
  }
  return events
}

const textOf = (events) => events.map(({ chunk }) => chunk.delta ?? chunk.type).join('')
const print = (...values) => console.log(JSON.stringify(values))
const post = (runId) => new Request('http://app/api/chat', { method: 'POST', headers: { 'x-run-id': runId } })
const join = (runId) => new Request(`http://app/api/chat?offset=-1&runId=${runId}`)
function produce(runId, count) {
  return toServerSentEventsResponse(run(count), { durability: { adapter: durabilityOf(post(runId)), batch: 1 } })
}

// the first page goes away in the middle, and comes back
const seen = await eventsOf(produce('short', 5), 4)
const { id } = seen.at(-1)
const headers = { 'last-event-id': id, 'x-run-id': 'short' }
const adapter = durabilityOf(new Request('http://app/api/chat', { headers }))
const rest = await eventsOf(resumeServerSentEventsResponse({ adapter }))
print('resumed', textOf([...seen, ...rest]))
print('joined', textOf(await eventsOf(resumeServerSentEventsResponse({ adapter: durabilityOf(join('short')) }))))
print('unknown', textOf(await eventsOf(resumeServerSentEventsResponse({ adapter: durabilityOf(join('none')) }))))

const long = eventsOf(produce('long', 1_000))
await delay(100)
const watching = eventsOf(resumeServerSentEventsResponse({ adapter: durabilityOf(join('long')) }))
await delay(50)
await durabilityOf(join('long')).cancel()
for (const events of [await long, await watching])
  print('stopped', events.at(-1).chunk.type, events.length < 900, events.at(-1).chunk.code ?? null)
