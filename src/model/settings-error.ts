/** An error about an invalid, unknown or missing setting. */
export class SettingsError extends Error {
  override name = 'SettingsError'
}
