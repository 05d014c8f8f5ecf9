"""The files of a dataset: what may be opened, how paths are compared, and how text is decoded."""
