import { ask, messageOf, onSubmit } from '../shared/ask.js'
import { element } from '../shared/element.js'
import { connectHub, showState } from '../shared/status.js'
import type { JobEvent } from './job.js'

const WORDS: Record<JobEvent['state'], string> = {
  running: 'Running',
  done: 'Done',
  failed: 'Failed',
  cancelled: 'Cancelled',
}

const form = element('form', 'form')
const submit = element('submit', 'button')
const list = element('jobs', 'ol')
/** The shown jobs: the newest state of each, and its element. */
const jobs = new Map<string, { event: JobEvent; item: HTMLElement }>()

const hub = connectHub()
showState(hub)
listen()

function listen(): void {
  const stop = hub.subscribe<JobEvent>('jobs.*', ({ data }) => update(data), {
    replay: 1_000,
    // Events are missing, perhaps the end of a running job: read all of them again.
    onGap() {
      stop()
      jobs.clear()
      list.replaceChildren()
      element('empty').hidden = false
      listen()
    },
  })
}

function update(event: JobEvent): void {
  const known = jobs.get(event.id)
  // a final state does not change: events that the worker sent before arrive later
  if (known && known.event.state !== 'running') return
  const item = known?.item ?? add(event)
  const now = { ...known?.event, ...event }
  jobs.set(event.id, { event: now, item })
  show(item, now)
}

function show(item: HTMLElement, { state, step = 0, steps, pid, reason = '' }: JobEvent): void {
  const isRunning = state === 'running'
  const part = (name: string) => item.querySelector<HTMLElement>(name)!
  Object.assign(part('progress'), { max: steps, value: step })
  Object.assign(part('.state'), { className: `state status ${state}`, textContent: WORDS[state] })
  const process = isRunning && pid !== undefined ? `, process ${pid}` : ''
  part('.steps').textContent = `${step} of ${steps} steps${process}`
  part('.reason').textContent = reason
  // otherwise the keyboard focus would be lost with the button
  if (!isRunning && document.activeElement === part('button')) item.focus()
  part('button').hidden = !isRunning
}

/** Adds a job above the others. */
function add({ id, name }: JobEvent): HTMLElement {
  list.prepend(element('job', 'template').content.cloneNode(true))
  element('empty').hidden = true
  const item = list.firstElementChild as HTMLElement
  item.querySelector('.name')!.textContent = name
  item.querySelector('progress')!.ariaLabel = name
  const cancel = item.querySelector('button')!
  cancel.ariaLabel = `Cancel ${name}`
  cancel.onclick = () => {
    const asked = ask(`jobs/${id}`, undefined, { method: 'DELETE' })
    asked.catch((error: unknown) => void (element('error').textContent = messageOf(error)))
  }
  return item
}

onSubmit(form, async () => {
  const { name, steps } = Object.fromEntries(new FormData(form))
  const input = form.querySelector('input')!
  submit.disabled = true // a form is sent once at a time
  try {
    await ask('jobs', { name, steps: Number(steps) })
    if (input.value === name) form.reset() // the user may have typed the next name meanwhile
  } finally {
    submit.disabled = false
    input.focus()
  }
})
