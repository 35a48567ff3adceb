/** The errors of requests that cannot be stored. */
import { HubError } from '../../model/hub-error.js'
import { LostFolderError } from './folder-files.js'
import type { WriteRequest } from './messages.js'
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

/** Returns the error of a read from tables that another process changes unnoticed. */
export function notRead(cause: Error): HubError {
  return new HubError('log-unavailable', `The log cannot be read: ${reasonOf(cause)}. Try again later.`, { cause })
}

/**
 * Returns the error of a write that another process has not answered.
 * @param cause a sentence
 */
export function mayBeStored(cause: string, request: WriteRequest): HubError {
  const remedy =
    'append' in request
      ? 'The event may have been stored: publish it again with the same "id".'
      : 'The request may still be carried out. Try it again.'
  return new HubError('log-unavailable', `${cause} ${remedy}`)
}

function reasonOf(cause: Error | undefined): string {
  if (cause instanceof LostFolderError || cause instanceof NoRoomError) return cause.reason
  return 'the disk is full or not writable'
}
