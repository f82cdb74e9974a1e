/** What the project uses of `@std/async`, with its documented signatures. */

export function abortable<T>(p: Promise<T>, signal: AbortSignal): Promise<T>;
export function abortable<T>(p: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T>;
export function delay(ms: number, options?: { signal?: AbortSignal; persistent?: boolean }): Promise<void>;
