/** Microseconds on the machine's monotonic clock, which is the same for all its processes. */
export function now(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e6 + Math.floor(nanoseconds / 1e3)
}
