/** How one of the console's own streams is, said plainly. */
import type { LiveStream, StreamState } from '../hub/stream.js'
import { Notice } from './notice.js'

const WORDS: Record<StreamState['phase'], string> = {
  connecting: 'Connecting',
  'catching-up': 'Catching up',
  live: 'Live',
  down: 'Down',
  refused: 'Refused',
}

/** @param what to what it is a stream, for those who only hear it */
export function StreamBadge({ stream, what }: { stream: LiveStream; what: string }) {
  const { phase } = stream.state.value
  return (
    <span class={`badge ${phase}`} role="status">
      <span class="hidden">The stream of {what}: </span>
      {WORDS[phase]}
    </span>
  )
}

/** What is wrong with a stream, and what it has missed. */
export function StreamNotices({ stream, what }: { stream: LiveStream; what: string }) {
  const { phase, detail } = stream.state.value
  const gap = stream.gap.value
  return (
    <>
      {phase === 'down' && (
        <Notice tone="error">
          {what}: the stream is down, {detail}. It comes back by itself.
        </Notice>
      )}
      {phase === 'refused' && (
        <Notice tone="error">
          {what}: the stream is refused. {detail}
        </Notice>
      )}
      {gap !== undefined && (
        <Notice tone="warning" onDismiss={() => (stream.gap.value = undefined)}>
          {what}: there is a gap, {gap}.
        </Notice>
      )}
    </>
  )
}
