/** What the token of the session may do, for users who are no admins. */
import { formatDateTime } from '../format.js'
import { readClaims } from '../hub/claims.js'
import { token } from '../hub/session.js'
import { linkTo } from '../route.js'

export function TokenCard() {
  const claims = readClaims(token.value ?? '')
  if (!claims) return null
  const { subject, expiresAt, subscribe, publish, presence } = claims
  return (
    <section class="card" aria-labelledby="token-card">
      <h2 id="token-card">Your token</h2>
      <dl class="facts">
        <dt>Subject</dt>
        <dd>{subject ?? 'none'}</dd>
        <dt>Expires</dt>
        <dd>{expiresAt === undefined ? 'never' : formatDateTime(new Date(expiresAt).toISOString())}</dd>
        <Grants name="May subscribe to" patterns={subscribe} />
        <Grants name="May publish to" patterns={publish} />
        <Grants name="May see presence of" patterns={presence} />
      </dl>
      <p class="muted">
        An admin's token (<code>"admin": true</code>) also shows the figures of the hub, its connections and its nodes.
      </p>
    </section>
  )
}

function Grants({ name, patterns }: { name: string; patterns: string[] }) {
  return (
    <>
      <dt>{name}</dt>
      <dd class="grants">
        {patterns.length === 0 && 'nothing'}
        {patterns.map((pattern) =>
          pattern.includes('*') ? (
            <code key={pattern}>{pattern}</code>
          ) : (
            <a key={pattern} class="topic" href={linkTo({ page: 'topic', topic: pattern })}>
              {pattern}
            </a>
          ),
        )}
      </dd>
    </>
  )
}
