/** A form whose fields are posted to the example's server as JSON, by their names. */
import { useRef, useState, type FormEvent, type ReactNode } from 'react'
import { ask } from '../ask.js'

interface PostFormProps {
  /** The path of the request. */
  to: string
  button: string
  children: ReactNode
}

export function PostForm({ to, button, children }: PostFormProps) {
  const [isSending, setSending] = useState(false)
  const [error, setError] = useState('')
  /**
   * The last post without an acknowledgement. If the user sends it again, it has the same key, so it is stored once.
   */
  const pending = useRef({ json: '', key: '' })

  async function submit(form: HTMLFormElement): Promise<void> {
    const body = valuesOf(form)
    const json = JSON.stringify(body)
    if (pending.current.json !== json) pending.current = { json, key: crypto.randomUUID() }
    setSending(true)
    try {
      await ask(to, body, { key: pending.current.key })
      pending.current = { json: '', key: '' }
      setError('')
      if (JSON.stringify(valuesOf(form)) === json) form.reset() // keep what the user has typed meanwhile
      fieldsOf(form)[0]?.focus()
    } catch (err) {
      setError((err as Error).message)
    } finally {
      setSending(false)
    }
  }

  function onSubmit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault()
    if (!isSending) void submit(event.currentTarget)
  }

  return (
    <form className="card" onSubmit={onSubmit}>
      {children}
      <button aria-disabled={isSending}>{button}</button>
      <p className="error" role="alert">
        {error}
      </p>
    </form>
  )
}

type Field = HTMLInputElement | HTMLTextAreaElement

function fieldsOf(form: HTMLFormElement): Field[] {
  return [...form.querySelectorAll<Field>('input, textarea')]
}

/** Returns the values of the fields. A missing number is `NaN`, which is `null` in JSON. */
function valuesOf(form: HTMLFormElement): Record<string, string | number> {
  return Object.fromEntries(
    fieldsOf(form).map((field) => [
      field.name,
      field.type === 'number' ? (field as HTMLInputElement).valueAsNumber : field.value,
    ]),
  )
}
