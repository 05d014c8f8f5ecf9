"""Conversion in parts: each range of images is judged and written by another process."""
