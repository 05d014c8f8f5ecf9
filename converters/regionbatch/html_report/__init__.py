"""The HTML page: one file that shows in charts and images what will be sent."""
