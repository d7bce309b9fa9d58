// GraphiQL with a bar above it for the token and the namespace. Both stay in the memory of this page.
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { GraphiQL } from 'graphiql';
import 'graphiql/style.css';
import { createClient } from 'graphql-ws';
import { useEffect, useMemo, useState } from 'react';
import { createRoot } from 'react-dom/client';
import './main.css';

const WORKERS = new Set(['graphql', 'json']);
const FORBIDDEN = 4403; // the token is not accepted: another try would not change that

globalThis.MonacoEnvironment = {
  getWorker(_, label) {
    const name = WORKERS.has(label) ? label : 'editor';
    return new Worker(new URL(`${name}.worker.js`, import.meta.url), { type: 'module' });
  },
};

const QUERY = `# Ctrl-Enter sends the operation at the cursor.
# The book on the left shows the schema.

query Tasks {
  backgroundTasks {
    listTasks(limit: 10) {
      data { id definitionId taskStatus reason createdOn }
      meta { totalCount }
      error { message code }
    }
  }
}

subscription Changes {
  taskUpdated { type id task { taskStatus reason progress { percent } } }
}
`;

function Session({ headers }) {
  // A new session is a new component, so that each has a WebSocket of its own.
  const client = useMemo(() => {
    const url = new URL('graphql', document.baseURI);
    url.protocol = url.protocol.replace('http', 'ws');
    return createClient({
      url: url.href,
      connectionParams: headers,
      shouldRetry: (problem) => 'code' in problem && problem.code !== FORBIDDEN,
    });
  }, []);
  const fetcher = useMemo(() => createGraphiQLFetcher({ url: 'graphql', headers, wsClient: client }), []);
  useEffect(() => () => client.dispose(), []);
  return (
    <GraphiQL
      fetcher={fetcher}
      defaultQuery={QUERY}
      isHeadersEditorEnabled={false}
      showPersistHeadersSettings={false}
    />
  );
}

function Page({ asksForToken, defaultNamespace }) {
  const [session, setSession] = useState(asksForToken ? null : { number: 0, headers: {} });
  function begin(event) {
    event.preventDefault();
    const form = new FormData(event.target);
    const token = form.get('token')?.trim();
    const namespace = form.get('namespace').trim();
    const headers = {};
    if (token) headers.Authorization = `Bearer ${token}`;
    if (namespace) headers['X-Podrelay-Namespace'] = namespace;
    setSession({ number: (session?.number ?? 0) + 1, headers });
  }
  return (
    <>
      <form className="session" onSubmit={begin}>
        <b>Podrelay</b>
        {asksForToken && (
          <label>
            Token <input name="token" type="password" autoComplete="off" required />
          </label>
        )}
        <label>
          Namespace{' '}
          <input name="namespace" placeholder={defaultNamespace} autoComplete="off" spellCheck={false} />
        </label>
        <button type="submit">{session ? 'Change' : 'Connect'}</button>
        {session ? null : <span>kubectl create token NAME prints a token; this page forgets it when it is closed.</span>}
      </form>
      <main>{session && <Session key={session.number} headers={session.headers} />}</main>
    </>
  );
}

const place = document.getElementById('page');
createRoot(place).render(
  <Page asksForToken={place.dataset.asksForToken === 'true'} defaultNamespace={place.dataset.namespace} />,
);
