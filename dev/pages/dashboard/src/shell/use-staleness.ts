import { followed } from '../api/connection';
import { graphql } from '../api/graphql';
import { useSubscription } from '../api/live';

/** Of no run: only whether the gateway receives changes. */
const Announcements = graphql(`
  subscription Announcements {
    taskUpdated(where: { id: "" }, announce: true) { type }
  }
`);

/** Follows whether the API server answers the gateway, for the banner. */
export function useStaleness(namespace: string): void {
  useSubscription(Announcements, {}, namespace, {
    onData: ({ taskUpdated: { type } }) => {
      if (type === 'READY' || type === 'STALE') followed(type === 'STALE');
    },
  });
}
