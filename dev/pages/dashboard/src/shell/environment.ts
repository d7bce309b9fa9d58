/** What the gateway says in its page. */
const place = document.getElementById('page');

export const defaultNamespace = place?.dataset['namespace'] || 'default';
export const hasGraphiql = place?.dataset['graphiql'] === 'true';
