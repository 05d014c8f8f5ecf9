"""Datasets made to use much time or memory."""
