import { createContext, type ReactNode, useContext, useMemo } from 'react';
import { graphql, type ResultOf } from '../api/graphql';
import { useQuery } from '../api/use-query';

const WhoAmI = graphql(`
  query WhoAmI {
    backgroundTasks {
      whoAmI {
        data { identity { id displayName } namespaces permissions { name allowed needs } }
        error { message code data }
      }
    }
  }
`);

type Answer = NonNullable<NonNullable<ResultOf<typeof WhoAmI>['backgroundTasks']>['whoAmI']['data']>;
type Permission = NonNullable<Answer['permissions']>[number]['name'];

/** What needs which permissions. */
const NEEDED = {
  trigger: ['CREATE_TASKS', 'TRIGGER_TASKS', 'RUN_DEFINITIONS'],
  change: ['PATCH_TASKS'],
  delete: ['DELETE_TASKS'],
  signal: ['GET_TASKS', 'CREATE_SIGNALS'],
  settings: ['PATCH_SETTINGS'],
  changeSchedule: ['PATCH_SCHEDULES', 'TRIGGER_TASKS', 'RUN_DEFINITIONS'],
  triggerSchedule: ['GET_SCHEDULES', 'CREATE_TASKS', 'TRIGGER_TASKS', 'RUN_DEFINITIONS'],
  deleteSchedule: ['DELETE_SCHEDULES'],
} as const satisfies Record<string, readonly Permission[]>;

export type Right = keyof typeof NEEDED;

interface Rights {
  user: string;
  namespaces: readonly string[];
  /** Returns why the user may not do something, or undefined if they may, or if it is not known yet. */
  missing: (right: Right) => string | undefined;
  /** Nothing can be changed: the page says so once, above everything. */
  isReadOnly: boolean;
}

const Context = createContext<Rights>({ user: '', namespaces: [], missing: () => undefined, isReadOnly: false });

/** Finds out once for a namespace what the user may do in it. */
export function RightsProvider({ namespace, children }: { namespace: string; children: ReactNode }) {
  const { data } = useQuery(WhoAmI, {}, namespace);
  const answer = data?.backgroundTasks?.whoAmI.data;
  const rights = useMemo((): Rights => {
    function missing(right: Right): string | undefined {
      if (!answer) return undefined;
      const lacking = NEEDED[right]
        .map((name) => answer.permissions?.find((permission) => permission.name === name))
        .find((permission) => permission && !permission.allowed);
      return lacking ? `You may not do this here: it needs the right to ${lacking.needs}.` : undefined;
    }
    const all = Object.keys(NEEDED) as Right[];
    return {
      user: answer?.identity.displayName ?? '',
      namespaces: answer?.namespaces ?? [],
      missing,
      isReadOnly: answer !== undefined && answer !== null && all.every((right) => missing(right) !== undefined),
    };
  }, [answer]);
  return <Context.Provider value={rights}>{children}</Context.Provider>;
}

export function useRights(): Rights {
  return useContext(Context);
}
