export function RunPage({ namespace, name }: { namespace: string; name: string }) {
  return <div>{namespace}/{name}</div>;
}
