/**
 * Says how long to wait before an attempt, in seconds: 1, 2, 4, … up to `maximum`, and of that between half and the whole, so that a
 * fleet does not return in step.
 *
 * @param attempt 1 for the first attempt that waits
 */
export function backoff(attempt: number, maximum: number): number {
  const whole = Math.min(2 ** (attempt - 1), maximum);
  return whole * (0.5 + Math.random() / 2);
}
