/**
 * The search in the header, for topics, subjects and connections. `/` goes to it, arrow keys choose a result, Enter
 * opens it, and Esc leaves. It follows the pattern "combobox" of the ARIA Authoring Practices Guide.
 */
import { useSignal, type Signal } from '@preact/signals'
import type { RefObject } from 'preact'
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'
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
  /** Whether the user is in the field. */
  const isOpen = useSignal(false)
  const go = ({ target }: Result) => {
    location.hash = linkTo(target)
    text.value = ''
    isOpen.value = false
    input.current?.blur()
  }
  const { results, chosen, openChosen } = useResults(text, go)
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Enter') openChosen()
    else if (event.key === 'Escape') {
      if (text.value === '') input.current?.blur()
      text.value = ''
    } else if (!moveChosen(event, results.value?.length ?? 0, chosen)) return
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
        onInput={({ currentTarget }) => (text.value = currentTarget.value)}
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
function useResults(text: Signal<string>, go: (result: Result) => void): Results {
  /** `undefined`: nothing was searched, or no answer has come yet. */
  const results = useSignal<Result[] | undefined>(undefined)
  /** The text that the results are for. */
  const answered = useSignal('')
  const chosen = useSignal(0)
  /**
   * The text that Enter was pressed for before its results came. A text and not a flag: an effect runs some time after
   * the text has changed, and must not forget an Enter of the time between.
   */
  const awaited = useRef<string>(undefined)
  const openChosen = () => {
    const wanted = text.value.trim()
    const result = results.value?.[chosen.value]
    awaited.current = answered.value === wanted ? undefined : wanted
    if (result && awaited.current === undefined) go(result)
  }
  useEffect(() => {
    const wanted = text.value.trim()
    if (awaited.current !== wanted) awaited.current = undefined
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
        chosen.value = indexAmong(found, results.value?.[chosen.value], chosen.value)
        results.value = found
        answered.value = wanted
        if (awaited.current === wanted) openChosen()
      })
    }, TYPING)
    return () => {
      window.clearTimeout(timer)
      left.abort()
    }
  }, [text.value])
  return { results, chosen, openChosen }
}

/**
 * Returns the index of the chosen result among new results. An arrow key may have chosen one before these came; the
 * first result is the default, not a choice.
 */
function indexAmong(found: readonly Result[], kept: Result | undefined, chosen: number): number {
  if (!kept || chosen === 0) return 0
  const index = found.findIndex(({ kind, name }) => kind === kept.kind && name === kept.name)
  return Math.max(0, index)
}

interface Results {
  results: Signal<Result[] | undefined>
  chosen: Signal<number>
  /** Opens the chosen result of the text, or waits for the results. */
  openChosen: () => void
}

/** Chooses another result with an arrow key. Returns whether the key was one. */
function moveChosen({ key }: KeyboardEvent, length: number, chosen: Signal<number>): boolean {
  if (length === 0) return false
  if (key === 'ArrowDown') chosen.value = (chosen.value + 1) % length
  else if (key === 'ArrowUp') chosen.value = (chosen.value + length - 1) % length
  else return false
  return true
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
  useLayoutEffect(() => focusOnSlash(field), [])
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
