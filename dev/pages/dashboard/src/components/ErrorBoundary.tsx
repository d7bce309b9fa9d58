import { Component, type ReactNode } from 'react';
import { Button } from './Button';
import { Notice } from './Notice';

/** Keeps a mistake of the page in the place where it happened. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { error: Error | undefined }> {
  override state: { error: Error | undefined } = { error: undefined };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <Notice tone="bad" title="This part of the page has failed">
        {this.state.error.message}
        <Button className="notice-action" onClick={() => this.setState({ error: undefined })}>
          Show it again
        </Button>
      </Notice>
    );
  }
}
