/**
 * How the hubs of the tests use sockets, unless a test says so itself: `TEST_NATIVE_SOCKETS=off` tests them by Node's
 * public API.
 */
export const NATIVE_SOCKETS = process.env['TEST_NATIVE_SOCKETS'] === 'off' ? 'off' : 'auto'
