/** The time, once a second, for the ages on a page. */
import { signal } from '@preact/signals'

/** In milliseconds since the Unix epoch. */
export const now = signal(Date.now())

setInterval(() => {
  if (!document.hidden) now.value = Date.now()
}, 1_000)

/** Returns how long ago a time was, by the clock of the browser, in milliseconds. */
export function ageOf(time: string): number {
  return now.value - Date.parse(time)
}
