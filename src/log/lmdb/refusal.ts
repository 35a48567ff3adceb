/** The errors of requests that cannot be stored. */
import { HubError } from '../../model/hub-error.js'

/** Returns the error of an append or a record that could not be stored. */
export function notStored(cause: Error | undefined): HubError {
  return new HubError(
    'log-unavailable',
    'The event could not be stored: the disk is full or not writable. Try again later.',
    { cause },
  )
}

/** Returns the error of a purge that could not be finished. */
export function notPurged(cause: Error | undefined): HubError {
  return new HubError(
    'log-unavailable',
    'Not all events could be purged: the disk is full or not writable. Try again later.',
    { cause },
  )
}
