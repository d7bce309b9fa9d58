import { Status } from '../components/Status';
import { plain } from '../components/text';
import { Link } from '../routing/location';
import { nameOf, runPath } from '../routing/paths';
import { Elapsed, Time } from '../time/Time';
import type { Run } from './documents';

/** A short list of runs within a panel. */
export function RunRows({ runs }: { runs: readonly Run[] }) {
  return (
    <ul className="rows">
      {runs.map((run) => (
        <li key={run.id}>
          <Status run={run} />
          <Link to={runPath(run.namespace, nameOf(run.id))} className="row-link">
            <bdi>{plain(nameOf(run.id), 100)}</bdi>
          </Link>
          <span className="rows-end">
            <Elapsed from={run.startedOn} to={run.finishedOn} />
          </span>
          <span className="rows-end">
            <Time at={run.createdOn} />
          </span>
        </li>
      ))}
    </ul>
  );
}
