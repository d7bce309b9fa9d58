/** What can go wrong with a request, each with what the reader can do about it. */
export type Problem =
  | { kind: 'signed-out' }
  | { kind: 'unreachable'; message: string }
  | { kind: 'forbidden'; message: string }
  | { kind: 'refused'; message: string; code: string; data?: unknown };

/** The error that a request of the page fails with. */
export class RequestError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super('message' in problem ? problem.message : problem.kind);
    this.problem = problem;
  }
}

/** The `error` in an answer of the gateway. */
export interface AnsweredError {
  message: string | null;
  code: string | null;
  data?: unknown;
}

export const NOT_AUTHORIZED = 'BackgroundTasks/NotAuthorized';
export const NOT_AUTHENTICATED = 'BackgroundTasks/NotAuthenticated';
export const UNAVAILABLE = 'BackgroundTasks/Unavailable';

/** Returns the problem that an `error` of the gateway means. */
export function problemOf(error: AnsweredError): Problem {
  const message = error.message ?? 'The gateway refused this without a message.';
  const code = error.code ?? 'unknown';
  if (code === NOT_AUTHENTICATED) return { kind: 'signed-out' };
  if (code === NOT_AUTHORIZED) return { kind: 'forbidden', message };
  if (code === UNAVAILABLE) return { kind: 'unreachable', message };
  return { kind: 'refused', message, code, data: error.data };
}

/** Returns the data of an answer inside `backgroundTasks`, or throws what its `error` says. */
export function dataOf<Data>(answer: { data: Data | null; error: AnsweredError | null } | null | undefined): Data {
  if (answer?.error) throw new RequestError(problemOf(answer.error));
  if (answer?.data == null) throw new RequestError({ kind: 'refused', message: 'The answer is empty.', code: 'empty' });
  return answer.data;
}

/** Returns what went wrong with a query: with its request, or as the `error` of its answer. */
export function problemIn(
  query: { problem: Problem | undefined },
  answer: { error: AnsweredError | null } | null | undefined,
): Problem | undefined {
  return query.problem ?? (answer?.error ? problemOf(answer.error) : undefined);
}

/** Returns what a form says when something that it sent was refused. */
export function wordsOf(thrown: unknown): string {
  const problem = problemOfThrown(thrown);
  return 'message' in problem ? problem.message : 'Your token is no longer accepted.';
}

/** Returns the problem of anything that was thrown. */
export function problemOfThrown(thrown: unknown): Problem {
  if (thrown instanceof RequestError) return thrown.problem;
  return { kind: 'refused', message: thrown instanceof Error ? thrown.message : String(thrown), code: 'unknown' };
}
