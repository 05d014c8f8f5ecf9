"""The readers that are built in; each knows one format and nothing of the service."""
