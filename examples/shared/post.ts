/**
 * Posts something to the example's server.
 * @param json the body, if there is one
 * @param key what is sent again under the same key is published once
 * @throws Error which says in words why it was refused
 */
export async function post(path: string, json?: string, key?: string): Promise<void> {
  const headers = { ...(json !== undefined && { 'content-type': 'application/json' }), ...(key !== undefined && { 'idempotency-key': key }) }
  const response = await fetch(path, { method: 'POST', headers, body: json ?? null }).catch(() => {
    throw new Error('The server cannot be reached. Try again in a moment.')
  })
  if (response.ok) return
  const { message } = (await response.json().catch(() => ({}))) as { message?: string }
  throw new Error(message ?? `The server answered ${response.status}.`)
}
