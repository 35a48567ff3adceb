/**
 * The search in the header, for topics, subjects and connections. `/` goes to it, arrow keys choose a result, Enter
 * opens it, and Esc leaves. It follows the pattern "combobox" of the ARIA Authoring Practices Guide.
 */
import { useSignal, type Signal } from '@preact/signals'
import type { RefObject } from 'preact'
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

/** The attributes of the field that never change. */
const FIELD = {
  type: 'text',
  role: 'combobox',
  'aria-controls': 'results',
  maxLength: 200,
  spellcheck: false,
  autocapitalize: 'none',
  autocomplete: 'off',
} as const

export function SearchBox() {
  const input = useSlashField()
  const text = useSignal('')
  const { results, chosen, isOpen } = useResults(text)
  const go = ({ target }: Result) => {
    location.hash = linkTo(target)
    text.value = ''
    isOpen.value = false
    input.current?.blur()
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Escape') return pressed(event, results.value ?? [], chosen, go)
    if (text.value === '') input.current?.blur()
    text.value = ''
    event.preventDefault()
  }
  const isShown = isOpen.value && results.value !== undefined
  return (
    <div class="search" role="search">
      <input
        ref={input}
        {...FIELD}
        aria-label={isAdmin.value ? 'Search topics, subjects and connections' : 'Search topics'}
        aria-expanded={isShown}
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
      />
      <kbd aria-hidden="true">/</kbd>
      {isShown && <ResultList results={results.value ?? []} chosen={chosen.value} onChoose={go} />}
    </div>
  )
}

/** Returns the results of a search, and the index of the chosen one. */
function useResults(text: Signal<string>): Results {
  /** `undefined`: nothing was searched, or no answer has come yet. */
  const results = useSignal<Result[] | undefined>(undefined)
  const chosen = useSignal(0)
  useEffect(() => {
    const wanted = text.value.trim()
    if (wanted === '') {
      results.value = undefined
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
        chosen.value = kept
          ? Math.max(
              0,
              found.findIndex((one) => one.kind === kept.kind && one.name === kept.name),
            )
          : 0
      })
    }, TYPING)
    return () => {
      window.clearTimeout(timer)
      left.abort()
    }
  }, [text.value])
  return { results, chosen, isOpen: useSignal(false) }
}

interface Results {
  results: Signal<Result[] | undefined>
  chosen: Signal<number>
  /** Whether the user is in the field. */
  isOpen: Signal<boolean>
}

/** Chooses or opens a result. */
function pressed(
  event: KeyboardEvent,
  results: readonly Result[],
  chosen: Signal<number>,
  go: (result: Result) => void,
): void {
  const { length } = results
  const result = results[chosen.value]
  if (event.key === 'ArrowDown' && length > 0) chosen.value = (chosen.value + 1) % length
  else if (event.key === 'ArrowUp' && length > 0) chosen.value = (chosen.value + length - 1) % length
  else if (event.key === 'Enter' && result) go(result)
  else return
  event.preventDefault()
}

interface ResultListProps {
  results: readonly Result[]
  chosen: number
  onChoose: (result: Result) => void
}

function ResultList({ results, chosen, onChoose }: ResultListProps) {
  return (
    <div class="results" id="results" role="listbox" aria-label="Results">
      {results.map((result, index) => (
        <div
          key={`${result.kind} ${result.name}`}
          id={`result-${index}`}
          role="option"
          aria-selected={index === chosen}
          // before the field loses the focus, which closes the list
          onMouseDown={(event) => {
            event.preventDefault()
            onChoose(result)
          }}
        >
          <span class="kind">{result.kind}</span> <code>{result.name}</code>
        </div>
      ))}
      {results.length === 0 && (
        <div role="option" aria-disabled="true" aria-selected={false} class="muted">
          Nothing found.
        </div>
      )}
    </div>
  )
}

/** Returns a field that `/` focuses. */
function useSlashField(): RefObject<HTMLInputElement | null> {
  const field = useRef<HTMLInputElement>(null)
  useEffect(() => focusOnSlash(field), [])
  return field
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
