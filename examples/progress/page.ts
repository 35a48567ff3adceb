import { ask, onSubmit } from '../shared/ask.js'
import { element } from '../shared/element.js'
import { connectHub, showState } from '../shared/status.js'
import type { JobEvent, JobState } from './job.js'

const form = element('form', 'form')
const submit = element('submit', 'button')
const list = element('jobs', 'ol')
const empty = element('empty')
const template = element('job', 'template')

const WORDS: Record<JobState, string> = { running: 'Running', done: 'Done', failed: 'Failed', cancelled: 'Cancelled' }

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
      empty.hidden = false
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

  const { state, step = 0, steps, pid, reason } = now
  const bar = item.querySelector('progress')!
  bar.max = steps
  bar.value = step
  item.querySelector('.state')!.className = `state status ${state}`
  item.querySelector('.state')!.textContent = WORDS[state]
  item.querySelector('.steps')!.textContent =
    `${step} of ${steps} steps${state === 'running' && pid !== undefined ? `, process ${pid}` : ''}`
  item.querySelector('.reason')!.textContent = reason ?? ''
  const cancel = item.querySelector('button')!
  // otherwise the keyboard focus would be lost with the button
  if (state !== 'running' && document.activeElement === cancel) item.focus()
  cancel.hidden = state !== 'running'
}

/** Adds a job above the others. */
function add({ id, name }: JobEvent): HTMLElement {
  list.prepend(template.content.cloneNode(true))
  const item = list.firstElementChild as HTMLElement
  item.querySelector('.name')!.textContent = name
  item.querySelector('progress')!.setAttribute('aria-label', name)
  const cancel = item.querySelector('button')!
  cancel.setAttribute('aria-label', `Cancel ${name}`)
  cancel.addEventListener('click', () => {
    ask(`jobs/${id}`, undefined, { method: 'DELETE' }).catch(show)
  })
  empty.hidden = true
  return item
}

onSubmit(form, async () => {
  const { name, steps } = Object.fromEntries(new FormData(form))
  const input = form.querySelector('input')!
  submit.disabled = true
  try {
    await ask('jobs', { name, steps: Number(steps) })
    if (input.value === name) form.reset() // the user may have typed the next name meanwhile
  } finally {
    submit.disabled = false
    input.focus()
  }
})

function show(error: unknown): void {
  element('error').textContent = error instanceof Error ? error.message : String(error)
}
