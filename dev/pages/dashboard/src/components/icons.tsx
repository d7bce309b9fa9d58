import type { ReactNode } from 'react';

/** Signs of 16 × 16, drawn with the colour of the text. All are decoration: a word is always next to them. */
function sign(children: ReactNode) {
  return function Sign({ size = 16 }: { size?: number }) {
    return (
      <svg
        aria-hidden="true"
        width={size}
        height={size}
        viewBox="0 0 16 16"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.5"
        strokeLinecap="round"
        strokeLinejoin="round"
      >
        {children}
      </svg>
    );
  };
}

export const OverviewSign = sign(<path d="M2.5 13.5v-4M6.2 13.5v-9M9.8 13.5v-6M13.5 13.5v-11" />);
export const RunsSign = sign(<path d="M2.5 4h2M2.5 8h2M2.5 12h2M7 4h6.5M7 8h6.5M7 12h6.5" />);
export const DefinitionsSign = sign(<path d="M8 2 13.5 5v6L8 14 2.5 11V5L8 2zM2.7 5.1 8 8l5.3-2.9M8 8v6" />);
export const InboxSign = sign(<path d="M2.5 9.5 4.5 3h7l2 6.5v3.5h-11zM2.5 9.5h3.2l.8 1.6h3l.8-1.6h3.2" />);
export const QueueSign = sign(<path d="M2.5 3.5h11M4 7h8M5.5 10.5h5M7 14h2" />);
export const SchedulesSign = sign(<path d="M2.5 3.5h11v10h-11zM2.5 6.5h11M5.3 2v3M10.7 2v3M8 8.5v2.2l1.6 1" />);
export const SettingsSign = sign(<path d="M2.5 5h6M12 5h1.5M2.5 11H4M7.5 11h6M10.2 3.3v3.4M5.7 9.3v3.4" />);
export const SearchSign = sign(<path d="M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.7 10.7 14 14" />);
export const CloseSign = sign(<path d="m4 4 8 8M12 4l-8 8" />);
export const DownSign = sign(<path d="m4.5 6.5 3.5 3.5 3.5-3.5" />);
export const RightSign = sign(<path d="m6.5 4.5 3.5 3.5-3.5 3.5" />);
export const CopySign = sign(<path d="M6 6V3h7v7h-3M3 6h7v7H3z" />);
export const DownloadSign = sign(<path d="M8 2.5v7M5 7l3 3 3-3M3 13h10" />);
export const MoreSign = sign(<path d="M3.5 8h.01M8 8h.01M12.5 8h.01" strokeWidth="2.4" />);
export const MenuSign = sign(<path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11" />);
export const SunSign = sign(
  <path d="M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6zM8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M3.4 12.6l.7-.7M11.9 4.1l.7-.7" />,
);
export const ColumnsSign = sign(<path d="M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10" />);
export const UpSortSign = sign(<path d="M8 12.5v-9M4.8 6.5 8 3.3l3.2 3.2" />);
export const DownSortSign = sign(<path d="M8 3.5v9M4.8 9.5 8 12.7l3.2-3.2" />);
export const WarnSign = sign(<path d="M8 2.2 14.3 13H1.7L8 2.2zM8 6.5v3M8 11.2v.01" />);
export const InfoSign = sign(<path d="M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.3v3.5M8 5.2v.01" />);
export const PlaySign = sign(<path d="M5 3.2v9.6L12.5 8z" />);
export const WrapSign = sign(<path d="M2.5 4h11M2.5 8h9a2 2 0 0 1 0 4H9M10.5 10.5 9 12l1.5 1.5M2.5 12h3" />);
export const FollowSign = sign(<path d="M8 2.5v8M4.8 7.3 8 10.5l3.2-3.2M3 13.5h10" />);

/* The states. Each has its own form, so that it is known without colour. */
export const PendingSign = sign(<circle cx="8" cy="8" r="5.5" strokeDasharray="2.6 2.2" />);
export const QueuedSign = sign(<path d="M8 13.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11zM8 5v3.2l2 1.3" />);
export const RunningSign = sign(
  <>
    <circle cx="8" cy="8" r="5.5" />
    <path d="M8 4.5a3.5 3.5 0 0 1 0 7z" fill="currentColor" stroke="none" />
  </>,
);
export const SucceededSign = sign(
  <>
    <circle cx="8" cy="8" r="5.5" />
    <path d="m5.6 8.2 1.7 1.7 3.2-3.6" />
  </>,
);
export const FailedSign = sign(
  <>
    <circle cx="8" cy="8" r="6.2" fill="currentColor" stroke="none" />
    <path d="m6 6 4 4M10 6l-4 4" className="cut-out" />
  </>,
);
export const AbortedSign = sign(
  <>
    <path d="M5.7 2.5h4.6l3.2 3.2v4.6l-3.2 3.2H5.7l-3.2-3.2V5.7z" />
    <path d="M6 6h4v4H6z" fill="currentColor" stroke="none" />
  </>,
);
export const SuspendedSign = sign(
  <>
    <circle cx="8" cy="8" r="5.5" />
    <path d="M6.6 6v4M9.4 6v4" />
  </>,
);
