/** An error of NATS that keeps the hub from starting. Its message tells the operator the remedy. */
export class NatsError extends Error {
  override name = 'NatsError'
}
