"""The HTML page: one file that shows what will be sent, for people who would rather look."""
