/** The default socket mode of hubs in tests: `TEST_NATIVE_SOCKETS=off` runs them with Node's public API. */
export const NATIVE_SOCKETS = process.env['TEST_NATIVE_SOCKETS'] === 'off' ? 'off' : 'auto'
