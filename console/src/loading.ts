import { useCallback, useEffect, useRef, useState } from "react";

export interface Loaded<T> {
  value: T | undefined;
  error: Error | undefined;
  loading: boolean;
  refresh: () => void;
}

/** What `load` returns, loaded again when one of `of` changes; the last value stays until there is a newer one.
 *
 * With `poll`, it is loaded again after so many milliseconds while `poll` of the value is a number.
 */
export function useLoaded<T>(
  load: (signal: AbortSignal) => Promise<T>,
  of: readonly unknown[],
  poll?: (value: T) => number | undefined,
): Loaded<T> {
  const [state, setState] = useState<{ value?: T; error?: Error; loading: boolean }>({ loading: true });
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  const polling = useRef(poll);
  polling.current = poll;
  useEffect(() => {
    const abort = new AbortController();
    let timer: number | undefined;
    setState((before) => ({ ...before, loading: true }));
    latest.current(abort.signal).then(
      (value) => {
        if (!abort.signal.aborted) {
          setState({ value, loading: false });
          const wait = polling.current?.(value);
          if (wait !== undefined) {
            timer = window.setTimeout(() => setTurn((number) => number + 1), wait);
          }
        }
      },
      (error: unknown) => {
        if (!abort.signal.aborted) {
          setState({ error: error instanceof Error ? error : new Error(String(error)), loading: false });
        }
      },
    );
    return () => {
      abort.abort();
      window.clearTimeout(timer);
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [...of, turn]);
  const refresh = useCallback(() => setTurn((number) => number + 1), []);
  return { value: state.value, error: state.error, loading: state.loading, refresh };
}

/** A thing that a person starts, such as a save: whether it runs, and what went wrong. */
export function useAction<A extends unknown[]>(act: (...args: A) => Promise<void>) {
  const [running, setRunning] = useState(false);
  const [error, setError] = useState<Error>();
  const start = (...args: A): Promise<void> => {
    setRunning(true);
    setError(undefined);
    return act(...args)
      .catch((caught: unknown) => setError(caught instanceof Error ? caught : new Error(String(caught))))
      .finally(() => setRunning(false));
  };
  return { start, running, error, clear: () => setError(undefined) };
}
