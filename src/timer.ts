/**
 * The longest time that a timer can be set to, in seconds; to wait for longer is to wait without end. `setTimeout` takes milliseconds as a
 * signed integer of 32 bits.
 */
export const LONGEST_TIMER = 2_147_483;
