/** Lets everything happen that happens by the end of a turn of the event loop. */
export function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
