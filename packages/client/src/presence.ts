/** The subjects that are present on a topic: a list, and its changes. */
import type { Http } from './http.js'
import type { HubEvent, Present } from './types.js'

interface Change {
  subject: string
  info: unknown
}

/** Keeps the list of a topic. Joins and leaves that a loaded list already has change nothing. */
export function createPresenceList(http: Http, topic: string, onChange?: (subjects: Present[]) => void) {
  let present = new Map<string, Present>()

  function tell(): Present[] {
    const subjects = [...present.values()]
    onChange?.(subjects)
    return subjects
  }

  return {
    /** Loads the list. @throws HubError */
    async load(signal?: AbortSignal): Promise<Present[]> {
      const path = `topics/${encodeURIComponent(topic)}/presence`
      const { subjects } = await http.request<{ subjects: Present[] }>('GET', path, { signal })
      if (signal?.aborted) return subjects
      present = new Map(subjects.map((one) => [one.subject, one]))
      return tell()
    },
    take({ type, time, data: { subject, info } }: HubEvent<Change>): void {
      if (type === 'fanfare.leave' && !present.delete(subject)) return
      if (type === 'fanfare.join')
        present.set(subject, { connections: 1, since: time, ...present.get(subject), subject, info })
      tell()
    },
  }
}
