"""From the text of a document to one that may be executed, without blocking the event loop."""
