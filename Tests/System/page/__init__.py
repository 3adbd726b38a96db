"""docs/protocol.md once more, from the page alone: an endpoint in Python that shares nothing with the gateway."""
