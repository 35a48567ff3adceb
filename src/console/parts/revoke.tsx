/** The dialog that revokes the tokens of a subject, or one token. */
import { useSignal } from '@preact/signals'
import { call } from '../hub/api.js'
import { Choice } from './choice.js'
import { Confirm } from './confirm.js'

const TIMES = [
  { value: 1, name: '1 hour' },
  { value: 24, name: '1 day' },
  { value: 24 * 30, name: '30 days' },
] as const

const KINDS = [
  { value: 'subject', name: 'Subject' },
  { value: 'jti', name: 'Token id' },
] as const

/** @param subject the subject that the dialog begins with */
export function RevokeDialog({ subject = '', onClose }: { subject?: string; onClose: () => void }) {
  const kind = useSignal<'subject' | 'jti'>('subject')
  const name = useSignal(subject)
  const hours = useSignal(24)
  const revoke = () =>
    call('revocations', {
      method: 'POST',
      body: { [kind.value]: name.value.trim(), until: new Date(Date.now() + hours.value * 3_600_000).toISOString() },
    })
  return (
    <Confirm title="Revoke tokens" action="Revoke" onConfirm={revoke} onClose={onClose}>
      <p class="muted">
        The streams of these tokens end at once, and the hub refuses the tokens until the revocation ends. It should not
        end before the tokens do.
      </p>
      <Choice name="What is revoked" options={KINDS} value={kind.value} onChoose={(value) => (kind.value = value)} />
      <label>
        {kind.value === 'subject' ? 'Subject (sub)' : 'Token id (jti)'}
        <input
          value={name}
          onInput={({ currentTarget }) => (name.value = currentTarget.value)}
          required
          spellcheck={false}
          autocapitalize="none"
          autocomplete="off"
        />
      </label>
      <p class="label">Ends after</p>
      <Choice name="Ends after" options={TIMES} value={hours.value} onChoose={(value) => (hours.value = value)} />
    </Confirm>
  )
}
