/** Hooks for React. Nothing happens on a server: subscriptions begin in effects. */
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react'
import type { Hub } from './connect.js'
import { HubError, report } from './errors.js'
import type { Handler, HubEvent, HubState, Present, SubscribeOptions } from './types.js'

const CONNECTING: HubState = { status: 'connecting' }

/** The options whose change begins a new subscription. */
type Fixed = Omit<SubscribeOptions, 'onGap' | 'onState' | 'onError' | 'snapshot'>

/** Returns a text that is the same for equal arguments, so that arrays and objects may be written in a component. */
function keyOf(
  patterns: string | readonly string[],
  { onGap, onState, onError, snapshot, ...fixed }: SubscribeOptions,
) {
  return JSON.stringify([patterns, fixed, snapshot !== undefined])
}

/**
 * Subscribes while the component is mounted, and returns the state of the subscription, with a final refusal as its
 * error. The latest handler and listeners are called, so they may be written in the component. Another pattern, or
 * another of the other options, begins a new subscription.
 * @param hub `undefined`: not yet
 * @param patterns `undefined`: nothing now
 */
export function useSubscription<Data = unknown>(
  hub: Hub | undefined,
  patterns: string | readonly string[] | undefined,
  handler: Handler<Data>,
  options: SubscribeOptions = {},
): HubState {
  const [state, setState] = useState(CONNECTING)
  const latest = useRef({ handler, options })
  useEffect(() => {
    latest.current = { handler, options }
  })
  const key = patterns === undefined ? undefined : keyOf(patterns, options)
  useEffect(() => {
    setState(CONNECTING)
    if (!hub || patterns === undefined) return undefined
    const { snapshot, onGap } = latest.current.options
    return hub.subscribe<Data>(patterns, (event) => latest.current.handler(event), {
      ...latest.current.options,
      onState(state) {
        setState(state)
        latest.current.options.onState?.(state)
      },
      onError: (error) => (latest.current.options.onError ?? reportOthers)(error),
      ...(snapshot && { snapshot: (request) => latest.current.options.snapshot?.(request) }),
      ...(onGap && { onGap: (gap) => latest.current.options.onGap?.(gap) }),
    })
    // the key stands for patterns and options
  }, [hub, key])
  return state
}

export interface UseEventsOptions extends Fixed {
  /** The maximum number of events that are kept: the newest. Default: 100. */
  limit?: number
}

export interface Events<Data> {
  /** Oldest first. The list is a new one with each change. */
  events: readonly HubEvent<Data>[]
  state: HubState
}

/**
 * Returns the newest events of topics and patterns: those before the component was mounted, up to `limit`, and all
 * later ones. After a gap the list begins again. Events that arrive together cause one rendering.
 */
export function useEvents<Data = unknown>(
  hub: Hub | undefined,
  patterns: string | readonly string[] | undefined,
  { limit = 100, ...options }: UseEventsOptions = {},
): Events<Data> {
  const [events, setEvents] = useState<readonly HubEvent<Data>[]>([])
  const key = patterns === undefined ? undefined : keyOf(patterns, options)
  useEffect(() => setEvents([]), [hub, key, limit])
  const from = options.from ?? options.replay ?? options.cursor
  const state = useSubscription<Data>(
    hub,
    patterns,
    (event) => setEvents((before) => [...before, event].slice(-limit)),
    { ...(from === undefined && { replay: Math.min(limit, 1_000) }), ...options, onGap: () => setEvents([]) },
  )
  return { events, state }
}

export interface Presence {
  subjects: readonly Present[]
  state: HubState
}

/** Returns the subjects that are present on a topic. */
export function usePresence(hub: Hub | undefined, topic: string | undefined): Presence {
  const [subjects, setSubjects] = useState<readonly Present[]>([])
  const [state, setState] = useState(CONNECTING)
  useEffect(() => {
    setSubjects([])
    setState(CONNECTING)
    if (!hub || topic === undefined) return undefined
    return hub.presence(topic, setSubjects, { onState: setState, onError: reportOthers })
  }, [hub, topic])
  return { subjects, state }
}

/** A refusal is in the state. What a handler throws must not be lost. */
function reportOthers(error: unknown): void {
  if (!(error instanceof HubError)) report(error)
}

const ignore = (): void => undefined

/** Returns the state of the connection. */
export function useHubState(hub: Hub | undefined): HubState {
  const subscribe = useCallback((listener: () => void) => hub?.on('state', listener) ?? ignore, [hub])
  return useSyncExternalStore(
    subscribe,
    () => hub?.state ?? CONNECTING,
    () => CONNECTING,
  )
}
