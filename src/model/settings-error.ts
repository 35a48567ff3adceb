/** A setting that is wrong, unknown or missing. */
export class SettingsError extends Error {
  override name = 'SettingsError'
}
