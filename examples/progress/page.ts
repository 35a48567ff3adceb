import { element } from '../shared/element.js'
import { hubUrl, show, watch } from '../shared/status.js'
import type { JobEvent, JobState } from './job.js'

const status = element('status')
const form = element('form', 'form')
const submit = element('submit', 'button')
const error = element('error')
const list = element('jobs', 'ol')
const empty = element('empty')
const template = element('job', 'template')

const WORDS: Record<JobState, string> = { running: 'Running', done: 'Done', failed: 'Failed', cancelled: 'Cancelled' }

/** The shown jobs: the newest state of each, and its element. */
const jobs = new Map<string, { event: JobEvent; item: HTMLElement }>()
const hub = await hubUrl()
listen()

function listen(): void {
  const source = new EventSource(`${hub}/topics/jobs.*/events?replay=1000`)
  watch(source, (now) => show(status, now))
  source.addEventListener('message', (event: MessageEvent<string>) => update(JSON.parse(event.data) as JobEvent))
  // Events are missing, perhaps the end of a running job: read all of them again.
  source.addEventListener('fanfare.gap', () => {
    source.close()
    jobs.clear()
    list.replaceChildren()
    empty.hidden = false
    listen()
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
  cancel.addEventListener('click', () => void ask(`jobs/${id}`, { method: 'DELETE' }))
  empty.hidden = true
  return item
}

form.addEventListener('submit', (event) => {
  event.preventDefault()
  void start()
})

async function start(): Promise<void> {
  const { name, steps } = Object.fromEntries(new FormData(form))
  submit.disabled = true
  const isStarted = await ask('jobs', {
    method: 'POST',
    body: JSON.stringify({ name, steps: Number(steps) }),
    headers: { 'content-type': 'application/json' },
  })
  const input = form.querySelector('input')!
  if (isStarted && input.value === name) form.reset() // the user may have typed the next name meanwhile
  submit.disabled = false
  input.focus()
}

/** Sends a request to the example's server. The page shows the reason of a refusal. */
async function ask(url: string, init: RequestInit): Promise<boolean> {
  error.textContent = ''
  const response = await fetch(url, init).catch(() => undefined)
  if (response?.ok) return true
  const refusal = (await response?.json().catch(() => undefined)) as { message?: string } | undefined
  error.textContent = refusal?.message ?? 'The server cannot be reached.'
  return false
}
