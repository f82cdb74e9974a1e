/** Waits for a connection until the signal aborts; one that is established too late is closed. */
export async function abortable<Conn extends { close(): void }>(
  connecting: Promise<Conn>,
  signal: AbortSignal,
): Promise<Conn> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort);
  try {
    return await Promise.race([connecting, aborted]);
  } catch (error) {
    connecting.then((conn) => conn.close(), () => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
