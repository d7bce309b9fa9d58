"""HTTP and WebSockets: connections, the checks of a request, headers and status codes."""
