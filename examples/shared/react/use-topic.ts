/** The newest events of a topic, and a new attempt after a refusal. */
import { useEvents, type Events } from 'fanfare-client/react'
import { useState } from 'react'
import { connectHub } from '../status.js'

export interface TopicEvents<Data> extends Events<Data> {
  /** Connects again after a refusal. */
  connect: () => void
}

/** @param limit the maximum number of events: the newest */
export function useTopic<Data>(topic: string, limit: number): TopicEvents<Data> {
  const [hub, setHub] = useState(() => connectHub())
  return { ...useEvents<Data>(hub, topic, { limit }), connect: () => setHub(connectHub()) }
}
