"""The built-in readers. Each reads one format and knows nothing about Custom Vision."""
