/**
 * The search in the header, for topics, subjects and connections. `/` goes to it, arrow keys choose a result, Enter
 * opens it, and Esc leaves. It follows the pattern "combobox" of the ARIA Authoring Practices Guide.
 */
import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import type { Static } from 'typebox'
import type { Connection, ConnectionsPage } from '../../schemas/connection.js'
import type { Topics } from '../../schemas/topic.js'
import { call } from '../hub/api.js'
import { isAdmin } from '../hub/monitor.js'
import { linkTo, type Route } from '../route.js'

/** The maximum number of results of a kind. */
const RESULTS = 6
/** The time for further typing before the hub is asked, in milliseconds. */
const TYPING = 150
const TOPIC = /^[A-Za-z0-9_~:@-]{1,64}(?:\.[A-Za-z0-9_~:@-]{1,64}){0,15}$/

interface Result {
  kind: 'Topic' | 'Subject' | 'Connection'
  name: string
  target: Route
}

export function SearchBox() {
  const input = useRef<HTMLInputElement>(null)
  const text = useSignal('')
  /** `undefined`: nothing was searched, or no answer has come yet. */
  const results = useSignal<Result[] | undefined>(undefined)
  /** The text that the results are for. */
  const answered = useSignal('')
  const chosen = useSignal(0)
  /** Whether Enter was pressed before the results of the text came. */
  const isAwaited = useRef(false)
  const isOpen = useSignal(false)

  useEffect(() => focusOnSlash(input), [])
  useEffect(() => {
    const wanted = text.value.trim()
    isAwaited.current = false
    if (wanted === '') {
      results.value = undefined
      answered.value = ''
      chosen.value = 0
      return undefined
    }
    const left = new AbortController()
    const timer = window.setTimeout(() => {
      void find(wanted, left.signal).then((found) => {
        if (left.signal.aborted) return
        // an arrow key may have chosen a result before these results came
        const kept = chosen.value > 0 ? results.value?.[chosen.value] : undefined
        results.value = found
        answered.value = wanted
        chosen.value = kept
          ? Math.max(
              0,
              found.findIndex((one) => one.kind === kept.kind && one.name === kept.name),
            )
          : 0
        if (isAwaited.current) openChosen()
      })
    }, TYPING)
    return () => {
      window.clearTimeout(timer)
      left.abort()
    }
  }, [text.value])

  const go = ({ target }: Result) => {
    location.hash = linkTo(target)
    text.value = ''
    isOpen.value = false
    input.current?.blur()
  }
  /** Opens the chosen result of the text, or waits for the results. */
  const openChosen = () => {
    const result = results.value?.[chosen.value]
    isAwaited.current = answered.value !== text.value.trim()
    if (result && !isAwaited.current) go(result)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const { length } = results.value ?? []
    if (event.key === 'ArrowDown' && length > 0) chosen.value = (chosen.value + 1) % length
    else if (event.key === 'ArrowUp' && length > 0) chosen.value = (chosen.value + length - 1) % length
    else if (event.key === 'Enter') openChosen()
    else if (event.key === 'Escape') {
      if (text.value === '') input.current?.blur()
      text.value = ''
    } else return
    event.preventDefault()
  }
  const isShown = isOpen.value && results.value !== undefined
  return (
    <div class="search" role="search">
      <input
        ref={input}
        type="text"
        role="combobox"
        aria-label={isAdmin.value ? 'Search topics, subjects and connections' : 'Search topics'}
        aria-expanded={isShown}
        aria-controls="results"
        aria-activedescendant={isShown && results.value?.[chosen.value] ? `result-${chosen.value}` : undefined}
        placeholder={isAdmin.value ? 'Search topics, subjects, connections' : 'Search topics'}
        value={text}
        onInput={({ currentTarget }) => {
          text.value = currentTarget.value
          isOpen.value = true
        }}
        onFocus={() => (isOpen.value = true)}
        onBlur={() => (isOpen.value = false)}
        onKeyDown={onKeyDown}
        maxLength={200}
        spellcheck={false}
        autocapitalize="none"
        autocomplete="off"
      />
      <kbd aria-hidden="true">/</kbd>
      {isShown && (
        <div class="results" id="results" role="listbox" aria-label="Results">
          {results.value?.map((result, index) => (
            <div
              key={`${result.kind} ${result.name}`}
              id={`result-${index}`}
              role="option"
              aria-selected={index === chosen.value}
              // before the field loses the focus, which closes the list
              onMouseDown={(event) => {
                event.preventDefault()
                go(result)
              }}
            >
              <span class="kind">{result.kind}</span> <code>{result.name}</code>
            </div>
          ))}
          {results.value?.length === 0 && (
            <div role="option" aria-disabled="true" aria-selected={false} class="muted">
              Nothing found.
            </div>
          )}
        </div>
      )}
    </div>
  )
}

/** Makes `/` focus a field, unless the user is typing elsewhere. */
function focusOnSlash(field: { current: HTMLInputElement | null }): () => void {
  const onKeyDown = (event: KeyboardEvent) => {
    const isTyping = event.target instanceof Element && event.target.closest('input, textarea, select, dialog') !== null
    if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    field.current?.focus()
    field.current?.select()
  }
  document.addEventListener('keydown', onKeyDown)
  return () => document.removeEventListener('keydown', onKeyDown)
}

async function find(text: string, signal: AbortSignal): Promise<Result[]> {
  const query = { search: text, limit: String(RESULTS) }
  const [topics, connections] = await Promise.all([
    call<Static<typeof Topics>>('topics', { query, signal }).then(
      (page) => page.topics.map(({ topic }) => topic),
      (): string[] => [],
    ),
    isAdmin.peek()
      ? call<Static<typeof ConnectionsPage>>('connections', { query, signal }).then(
          (page) => page.connections,
          (): Connection[] => [],
        )
      : [],
  ])
  // a topic without events is in no list
  const names = TOPIC.test(text) && !topics.includes(text) ? [...topics, text] : topics
  const wanted = text.toLowerCase()
  const subjects = new Set(
    connections.map(({ subject }) => subject ?? '').filter((one) => one.toLowerCase().includes(wanted)),
  )
  return [
    ...names.map((name): Result => ({ kind: 'Topic', name, target: { page: 'topic', topic: name } })),
    ...[...subjects].map((name): Result => ({ kind: 'Subject', name, target: { page: 'connections', search: name } })),
    ...connections
      .filter(({ id }) => id.toLowerCase().includes(wanted))
      .map(({ id }): Result => ({ kind: 'Connection', name: id, target: { page: 'connection', id } })),
  ]
}
