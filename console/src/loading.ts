import { useCallback, useEffect, useRef, useState } from "react";

export interface Loaded<T> {
  value: T | undefined;
  error: Error | undefined;
  loading: boolean;
  /** Load it again. Ends when what is shown is no older than this call, or cannot be loaded. */
  refresh: () => Promise<void>;
}

interface State<T> {
  of: readonly unknown[];
  value?: T;
  error?: Error;
  loading: boolean;
}

const same = (one: readonly unknown[], other: readonly unknown[]) =>
  one.length === other.length && one.every((value, at) => Object.is(value, other[at]));

/** What `load` returns. When one of `of` changes, it is loaded afresh; else the last value stays until there is a newer
 * one, also when it cannot be loaded again.
 *
 * With `poll`, it is loaded again after so many milliseconds while `poll` of the value is a number.
 */
export function useLoaded<T>(
  load: (signal: AbortSignal) => Promise<T>,
  of: readonly unknown[],
  poll?: (value: T) => number | undefined,
): Loaded<T> {
  const [kept, setKept] = useState<State<T>>({ of, loading: true });
  const state: State<T> = same(kept.of, of) ? kept : { of, loading: true };
  const [turn, setTurn] = useState(0);
  const turns = useRef(0);
  const waiting = useRef<{ turn: number; end: () => void }[]>([]);
  const latest = useRef(load);
  latest.current = load;
  const polling = useRef(poll);
  polling.current = poll;
  const again = useRef(() => {
    turns.current += 1;
    setTurn(turns.current);
  });
  useEffect(() => {
    const abort = new AbortController();
    let timer: number | undefined;
    const ended = () => {
      const isOver = (one: { turn: number }) => one.turn <= turn;
      const over = waiting.current.filter(isOver);
      waiting.current = waiting.current.filter((one) => !isOver(one));
      over.forEach(({ end }) => end());
    };
    const about = (before: State<T>): State<T> => (same(before.of, of) ? before : { of, loading: true });
    setKept((before) => ({ ...about(before), loading: true }));
    latest.current(abort.signal).then(
      (value) => {
        if (!abort.signal.aborted) {
          setKept({ of, value, loading: false });
          ended();
          const wait = polling.current?.(value);
          if (wait !== undefined) {
            timer = window.setTimeout(again.current, wait);
          }
        }
      },
      (error: unknown) => {
        if (!abort.signal.aborted) {
          const shown = error instanceof Error ? error : new Error(String(error));
          setKept((before) => ({ ...about(before), error: shown, loading: false }));
          ended();
        }
      },
    );
    return () => {
      abort.abort();
      window.clearTimeout(timer);
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [...of, turn]);
  const refresh = useCallback(
    () =>
      new Promise<void>((end) => {
        again.current();
        waiting.current.push({ turn: turns.current, end });
      }),
    [],
  );
  return { value: state.value, error: state.error, loading: state.loading, refresh };
}

/** A thing that a person starts, such as a save: whether it runs, and what went wrong. */
export function useAction<A extends unknown[]>(act: (...args: A) => Promise<void>) {
  const [running, setRunning] = useState(0);
  const [error, setError] = useState<Error>();
  const start = (...args: A): Promise<void> => {
    setRunning((number) => number + 1);
    setError(undefined);
    return act(...args)
      .catch((caught: unknown) => setError(caught instanceof Error ? caught : new Error(String(caught))))
      .finally(() => setRunning((number) => number - 1));
  };
  return { start, running: running > 0, error, clear: () => setError(undefined) };
}
