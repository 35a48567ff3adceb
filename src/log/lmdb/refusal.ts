/** The errors of requests that cannot be stored. */
import { HubError } from '../../model/hub-error.js'
import { LostFolderError } from './folder-files.js'
import { NoRoomError } from './room.js'

/** Returns the error of an append or a record that could not be stored. */
export function notStored(cause: Error | undefined): HubError {
  return new HubError('log-unavailable', `The event could not be stored: ${reasonOf(cause)}. Try again later.`, {
    cause,
  })
}

/** Returns the error of a purge that could not be finished. */
export function notPurged(cause: Error | undefined): HubError {
  return new HubError('log-unavailable', `Not all events could be purged: ${reasonOf(cause)}. Try again later.`, {
    cause,
  })
}

function reasonOf(cause: Error | undefined): string {
  if (cause instanceof LostFolderError || cause instanceof NoRoomError) return cause.reason
  return 'the disk is full or not writable'
}
