/** The state of one of the console's own streams. */
import type { LiveStream, StreamState } from '../hub/stream.js'
import { Notice } from './notice.js'

const WORDS: Record<StreamState['phase'], string> = {
  connecting: 'Connecting',
  'catching-up': 'Catching up',
  live: 'Live',
  down: 'Down',
  refused: 'Refused',
}

/** @param what the subject of the stream, for screen readers */
export function StreamBadge({ stream, what }: { stream: LiveStream; what: string }) {
  const { phase } = stream.state.value
  return (
    <span class={`badge ${phase}`} role="status">
      <span class="hidden">The stream of {what}: </span>
      {WORDS[phase]}
    </span>
  )
}

export interface StreamNoticesProps {
  stream: LiveStream
  /** The subject of the stream, at the beginning of a sentence. */
  what: string
  /** Whether only admins may have the stream: a refusal is then no error. */
  isForAdmins?: boolean
}

/** The errors and gaps of a stream. */
export function StreamNotices({ stream, what, isForAdmins = false }: StreamNoticesProps) {
  const { phase, detail } = stream.state.value
  const gap = stream.gap.value
  return (
    <>
      {phase === 'down' && (
        <Notice tone="error">
          {what}: the stream is down: {detail}. It reconnects by itself.
        </Notice>
      )}
      {phase === 'refused' && (
        <Notice tone={isForAdmins ? 'info' : 'error'}>
          {what}: the stream is refused. {detail}
        </Notice>
      )}
      {gap !== undefined && (
        <Notice tone="warning" onDismiss={() => (stream.gap.value = undefined)}>
          {what}: there is a gap: {gap}.
        </Notice>
      )}
    </>
  )
}
