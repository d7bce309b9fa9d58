import { useQuery } from '../api/use-query';
import { Commands } from '../components/Commands';
import { ProblemNotice } from '../components/Notice';
import { YamlView } from '../json/YamlView';
import { nameOf } from '../routing/paths';
import { GetManifest, type RunDetail } from './documents';

/** The TaskRun as kubectl shows it, and the commands that show more. */
export function ManifestTab({ run }: { run: RunDetail }) {
  const name = nameOf(run.id);
  const query = useQuery(GetManifest, { id: name }, run.namespace, run.version);
  const manifest = query.data?.backgroundTasks?.getTask?.data?.manifest;
  if (query.problem && !manifest)
    return <ProblemNotice problem={query.problem} what="its manifest" onRetry={query.refetch} />;
  const place = `-n ${run.namespace}`;
  const commands = [
    `kubectl get taskruns.podrelay.dev ${name} ${place} -o yaml`,
    `podrelay logs ${name} ${place} --follow`,
    `podrelay show ${name} ${place}`,
  ];
  return (
    <>
      <section className="panel value">
        <h2>In a terminal</h2>
        <Commands commands={commands} />
      </section>
      {manifest ? (
        <section className="panel value">
          <h2>TaskRun</h2>
          <YamlView value={manifest} name={name} />
        </section>
      ) : null}
    </>
  );
}
