import type { ReactNode } from 'react';
import { Link, useAddress, withSearch } from '../routing/location';

interface Tab {
  id: string;
  title: string;
  count?: number | undefined;
}

/** The views of a page. Which one is shown is in the address, so each can be linked to. */
export function Tabs({ tabs, current, children }: { tabs: Tab[]; current: string; children: ReactNode }) {
  const address = useAddress();
  return (
    <>
      <nav className="tabs" aria-label="Parts of this page">
        {tabs.map(({ id, title, count }, place) => (
          <Link
            key={id}
            to={withSearch(address, { tab: place === 0 ? null : id, attempt: null })}
            className="tab"
            aria-current={id === current ? 'page' : undefined}
          >
            {title}
            {count ? <span className="tab-count number">{count}</span> : null}
          </Link>
        ))}
      </nav>
      {children}
    </>
  );
}
