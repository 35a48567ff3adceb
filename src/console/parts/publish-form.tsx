/** A form that publishes one event to a topic and shows the result. */
import { useSignal, type Signal } from '@preact/signals'
import type { Receipt } from '../../hub/publisher.js'
import { topicPath } from '../hub/address.js'
import { call, messageOf } from '../hub/api.js'
import { Notice } from './notice.js'

interface Fields {
  type: Signal<string>
  kind: Signal<'data' | 'text'>
  payload: Signal<string>
  isEphemeral: Signal<boolean>
}

export function PublishForm({ topic }: { topic: string }) {
  const fields: Fields = {
    type: useSignal(''),
    kind: useSignal('data'),
    payload: useSignal('{"total": 12}'),
    isEphemeral: useSignal(false),
  }
  const isBusy = useSignal(false)
  const outcome = useSignal<{ tone: 'success' | 'error'; message: string } | undefined>(undefined)

  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    if (isBusy.value) return
    isBusy.value = true
    publish(topic, fields)
      .then(
        (message) => (outcome.value = { tone: 'success', message }),
        (err: unknown) => (outcome.value = { tone: 'error', message: messageOf(err) }),
      )
      .finally(() => (isBusy.value = false))
  }

  return (
    <form class="card" onSubmit={submit} aria-labelledby="publish">
      <h2 id="publish">Publish</h2>
      <TypeField type={fields.type} />
      <PayloadFields {...fields} />
      <button type="submit" onClick={once}>
        Publish
      </button>
      {outcome.value && <Notice tone={outcome.value.tone}>{outcome.value.message}</Notice>}
    </form>
  )
}

function TypeField({ type }: Pick<Fields, 'type'>) {
  return (
    <label>
      Type <span class="muted">(optional)</span>
      <input
        name="type"
        value={type}
        onInput={({ currentTarget }) => (type.value = currentTarget.value)}
        maxLength={128}
        spellcheck={false}
        autocapitalize="none"
        autocomplete="off"
        placeholder="created"
      />
    </label>
  )
}

function PayloadFields({ kind, payload, isEphemeral }: Omit<Fields, 'type'>) {
  return (
    <>
      <fieldset>
        <legend>Payload</legend>
        <label>
          <input type="radio" name="kind" checked={kind.value === 'data'} onChange={() => (kind.value = 'data')} /> JSON
        </label>
        <label>
          <input type="radio" name="kind" checked={kind.value === 'text'} onChange={() => (kind.value = 'text')} /> Text
        </label>
      </fieldset>
      <textarea
        name="payload"
        rows={5}
        aria-label="Payload"
        value={payload}
        onInput={({ currentTarget }) => (payload.value = currentTarget.value)}
        spellcheck={false}
      />
      <label>
        <input
          type="checkbox"
          checked={isEphemeral.value}
          onChange={({ currentTarget }) => (isEphemeral.value = currentTarget.checked)}
        />{' '}
        Ephemeral <span class="muted">(not stored)</span>
      </label>
    </>
  )
}

/** Ignores the second click of a double click, even if the hub has already answered the first. */
function once(event: MouseEvent): void {
  if (event.detail > 1) event.preventDefault()
}

/** Publishes the event of a form. Returns a message about the result. */
async function publish(topic: string, { type, kind, payload, isEphemeral }: Fields): Promise<string> {
  const content = kind.value === 'text' ? { text: payload.value } : { data: parse(payload.value) }
  const body = {
    ...content,
    ...(type.value === '' ? {} : { type: type.value }),
    ...(isEphemeral.value ? { ephemeral: true } : {}),
  }
  const { id, subscribers } = await call<Receipt>(topicPath(topic, '/events'), { method: 'POST', body })
  return `${id === null ? 'Sent' : `Published as ${id}, sent`} to ${subscribers} ${subscribers === 1 ? 'subscriber' : 'subscribers'}.`
}

/** @throws Error with the browser's message about invalid JSON */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (err) {
    throw new Error(`The payload is not valid JSON: ${messageOf(err)}`, { cause: err })
  }
}
