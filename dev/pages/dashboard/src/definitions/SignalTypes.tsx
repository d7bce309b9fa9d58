import { plain } from '../components/text';
import { JsonView } from '../json/JsonView';
import type { DefinitionDetail } from './documents';

type SignalType = NonNullable<DefinitionDetail['signals']>[number];

/** The signals that runs of a definition understand, and who may decide about them. */
export function SignalTypes({ signals }: { signals: readonly SignalType[] }) {
  return (
    <section className="panel value">
      <h2>Signals</h2>
      <ul className="wait-signals">
        {signals.map(({ name, description, payloadSchema, approval }) => (
          <li key={name}>
            <div className="wait-what">
              <p>
                <code>{name}</code> <span className="second">{approval ? policyOf(approval) : 'signal'}</span>
              </p>
              {description ? <p>{plain(description)}</p> : null}
            </div>
            {payloadSchema ? (
              <div className="signal-schema">
                <JsonView value={payloadSchema} name={`${name}-payload-schema`} />
              </div>
            ) : null}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Returns who must decide: approval of 2 users of ops, not of the creator. */
function policyOf({ required, groups, excludeCreator }: NonNullable<SignalType['approval']>): string {
  const users = required === 1 ? 'one user' : `${required} users`;
  const members = groups ? ` of ${groups.join(' or ')}` : '';
  return `approval of ${users}${members}${excludeCreator ? ', not of the creator' : ''}`;
}
