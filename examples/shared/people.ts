/** The people who are present in a room, and those who are typing. */
import type { Hub, Present } from 'fanfare-client'
import { create, element } from './element.js'

/**
 * How long joins and leaves are held back after a reconnect, in milliseconds. Others who lost their streams reconnect
 * within the two to four seconds that the hub draws for each stream.
 */
const SETTLING = 6_000
/** How long a typing notice is shown, and the interval between two notices, in milliseconds. */
const TYPING = { shown: 4_000, told: 2_000 }

/** Shows the present people, and tells of joins and leaves of others. */
export function createPeople(hub: Hub, own: string, tell: (words: string) => void) {
  let now: string[] = []
  /** The people at the last report; `undefined`: there was none in this room. */
  let told: string[] | undefined
  let isSettled = true
  let settling: ReturnType<typeof setTimeout>

  function report(): void {
    const before = told
    if (!before || !isSettled) return
    told = now
    for (const name of before) if (name !== own && !now.includes(name)) tell(`${name} has left.`)
    for (const name of now) if (name !== own && !before.includes(name)) tell(`${name} has come in.`)
  }

  hub.on('state', ({ status }) => {
    clearTimeout(settling)
    if (status === 'waiting') isSettled = false
    if (status !== 'live' || isSettled) return
    settling = setTimeout(() => {
      isSettled = true
      report()
    }, SETTLING)
  })

  function show(subjects: Present[]): void {
    now = subjects.map(({ subject }) => subject).sort((a, b) => a.localeCompare(b))
    element('count').textContent = String(now.length)
    element('people').replaceChildren(...now.map((textContent) => create('li', { textContent })))
    told ??= now
    report()
  }

  return {
    show,
    /** Forgets the people of a room. The next list is shown without joins. */
    clear() {
      told = undefined
      show([])
      told = undefined
    },
  }
}

/** Shows who is typing. */
export function createTyping() {
  /** The people who are typing, each with the timer that ends the notice. */
  const typing = new Map<string, ReturnType<typeof setTimeout>>()
  let toldAt = -Infinity

  function show(): void {
    const names = [...typing.keys()]
    element('typing').textContent =
      names.length === 0 ? '' : `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} typing…`
  }

  function remove(name: string): void {
    clearTimeout(typing.get(name))
    typing.delete(name)
    show()
  }

  return {
    add(name: string) {
      remove(name)
      typing.set(
        name,
        setTimeout(() => remove(name), TYPING.shown),
      )
      show()
    },
    remove,
    clear() {
      for (const name of typing.keys()) remove(name)
    },
    /** Whether a notice is due. */
    mayTell() {
      if (performance.now() - toldAt < TYPING.told) return false
      toldAt = performance.now()
      return true
    },
    /** A message has ended the notice on the other pages. */
    said: () => void (toldAt = -Infinity),
  }
}
