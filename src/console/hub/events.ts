/** Events as the console shows them. */
import type { HistoryEvent } from '../../model/history-event.js'

/** An event of a stream. */
export interface LiveEvent {
  /** `undefined` for an ephemeral event. */
  id: string | undefined
  topic: string
  type: string | undefined
  time: string
  attributes: Record<string, string> | undefined
  /** A text, and bytes as base64, if `isText`; otherwise any JSON value. */
  data: unknown
  isText: boolean
}

/** An event as JSON, as `format=json` and pages of history have it: its bytes are base64. */
export type PublishedEvent = Omit<HistoryEvent, 'id' | 'bytes'> & { bytes?: string }

/** Returns an event of a page or of a stream as it is shown. */
export function toLiveEvent(
  { topic, type, time, attributes, data, text, bytes }: PublishedEvent,
  id: string | undefined,
): LiveEvent {
  return { id, topic, type, time, attributes, data: text ?? bytes ?? data, isText: data === undefined }
}
